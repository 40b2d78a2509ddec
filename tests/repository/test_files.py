"""Every file that git tracks is in order: whitespace, syntax, size, scripts. Needs no torch.

`make lint` and the pre-commit hook run this file alone.
"""

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 1_000_000
BINARY = {".png"}
CONFLICT = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)
toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
PARSERS = {".yaml": yaml.safe_load, ".yml": yaml.safe_load, ".cff": yaml.safe_load,
           ".toml": toml.loads}  # fmt: skip


def faults(path: Path) -> list[str]:
    """Say what is wrong with a file."""
    content = path.read_bytes()
    if len(content) > MOST_BYTES:
        return [f"more than {MOST_BYTES} bytes"]
    return [] if path.suffix in BINARY else [*text_faults(path, content), *script_faults(path)]


def text_faults(path: Path, content: bytes) -> list[str]:
    wrong = {
        "whitespace at the end of a line": re.search(rb"[ \t]$", content, re.MULTILINE),
        "a carriage return": b"\r" in content,
        "no newline, or an empty line, at its end": content
        and (not content.endswith(b"\n") or content.endswith(b"\n\n")),
        "a mark of a merge conflict": CONFLICT.search(content),
    }
    found = [fault for fault, there in wrong.items() if there]
    try:
        PARSERS.get(path.suffix, str)(content.decode("utf-8"))
    except (ValueError, yaml.YAMLError) as error:
        found.append(f"not valid: {error}")
    return found


def head(path: Path) -> bytes:
    """Return the first line of a file."""
    with path.open("rb") as file:
        return file.readline()


def script_faults(path: Path) -> list[str]:
    """Scripts are executable, nothing else is, and bash can read those that it runs."""
    shebang = head(path) if head(path).startswith(b"#!") else None
    executable = bool(path.stat().st_mode & 0o111)
    if shebang is None:
        return ["executable, but no script"] if executable else []
    found = [] if executable else ["a script that is not executable"]
    if b"bash" in shebang:
        done = subprocess.run(["bash", "-n", path], capture_output=True, text=True)
        found += [done.stderr] if done.returncode else []
    return found


def tracked_files() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("git says which files are ours")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"git says which files are ours: {done.stderr}")
    return [ROOT / name for name in done.stdout.split("\0") if (ROOT / name).is_file()]


def test_every_file_is_in_order() -> None:
    paths = tracked_files()
    assert len(paths) > 100
    found = {str(path.relative_to(ROOT)): faults(path) for path in paths}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    # Names that differ in case alone are one file on some systems.
    assert len({name.lower() for name in found}) == len(found)


def shellcheck(*paths: Path) -> str:
    """Return what shellcheck says of scripts: nothing if they are in order."""
    # pip put it beside this Python, which need not be on the PATH.
    program = shutil.which(
        "shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if program is None:
        pytest.skip("shellcheck is not installed: pip install -r requirements/tests.txt")
    done = subprocess.run([program, *paths], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr  # 1: it found something
    return done.stdout


def test_shell_scripts_pass_shellcheck() -> None:
    scripts = [path for path in tracked_files() if re.match(rb"#!.*\b(ba|da)?sh\b", head(path))]
    assert {"dist_train.sh", "slurm_test.sh"} <= {path.name for path in scripts}
    assert {path for path in tracked_files() if path.suffix == ".sh"} <= set(scripts)
    assert shellcheck(*scripts) == ""


def test_shellcheck_sees_faults(tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("#!/usr/bin/env bash\nrm $1\n")
    assert "SC2086" in shellcheck(script)


@pytest.mark.parametrize(
    ("name", "content", "mode", "fault"),
    [
        ("page.md", b"a \nb\n", 0o644, "whitespace"),
        ("page.md", b"a\r\n", 0o644, "carriage return"),
        ("page.md", b"a", 0o644, "at its end"),
        ("page.md", b"a\n\n", 0o644, "at its end"),
        ("page.md", b"<<<<<<< HEAD\n", 0o644, "merge conflict"),
        ("page.md", b"\xff\n", 0o644, "not valid"),
        ("page.yaml", b"a: [1\n", 0o644, "not valid"),
        ("page.toml", b"a =\n", 0o644, "not valid"),
        ("page.md", b"a\n", 0o755, "no script"),
        ("run.sh", b"#!/usr/bin/env bash\ntrue\n", 0o644, "not executable"),
        ("run.sh", b"#!/usr/bin/env bash\nif\n", 0o755, "syntax error"),
        ("picture.png", bytes(MOST_BYTES + 1), 0o644, "more than"),
    ],
)
def test_the_check_sees_faults(
    tmp_path: Path, name: str, content: bytes, mode: int, fault: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    path.chmod(mode)
    assert re.search(fault, "\n".join(faults(path)))


def test_the_check_passes_what_is_in_order(tmp_path: Path) -> None:
    for name, content, mode in (
        ("empty.typed", b"", 0o644),
        ("page.toml", b"a = 1\n", 0o644),
        ("run.sh", b"#!/usr/bin/env bash\ntrue\n", 0o755),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(mode)
        assert faults(path) == []
