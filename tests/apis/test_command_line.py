"""`mmseg-pointrend`: every tool under one name, quick to start, completed by a shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmseg_pointrend import __version__
from mmseg_pointrend.apis import command_line
from mmseg_pointrend.apis.shipped import list_tools
from tests.tools.commands import ROOT

SOURCES = sorted((ROOT / "tools").rglob("*.py"))


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture):
    """Run the command in this process: exit status, output and errors."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mmseg-pointrend", *words])
        monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
        status = 0
        try:
            command_line.main()
        except SystemExit as stopped:
            status = stopped.code or 0
        return status, *capfd.readouterr()

    return run


def run_python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | environment, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_help_names_every_tool(call) -> None:
    for words in ((), ("-h",), ("--help",)):
        status, output, _ = call(*words)
        assert status == 0
        for path in SOURCES:
            (line,) = (line for line in output.splitlines() if line.split()[:1] == [
                path.stem.replace("_", "-")
            ])  # fmt: skip
            assert len(line.split()) > 2 and "python" not in line
    assert call("--version")[:2] == (0, f"mmseg-pointrend {__version__}\n")


def test_a_tool_runs_by_its_name(call, tmp_path: Path) -> None:
    status, output, _ = call("train", "--help")
    assert status == 0 and output.startswith("usage: mmseg-pointrend train [-h]")
    for name in ("plot-log", "plot_log"):
        assert call(name, "--help")[1].startswith(f"usage: mmseg-pointrend {name}")
    status, output, errors = call(
        "test", "fpn_r50_cityscapes", "w.pth", "--work-dir", str(tmp_path)
    )
    assert status == 2 and errors.startswith("error: config fpn_r50_cityscapes does not exist")
    assert call("list-configs", "*upernet*")[1].split() == [
        "pointrend-upernet_swin-t_8xb2-160k_ade20k-512x512"
    ]
    assert str(call("list-configs", "zzz")[0]).startswith("error: pattern zzz fits no config")


def test_a_tool_that_there_is_not(call) -> None:
    assert call("trian")[::2] == (2, "error: there is no tool trian; did you mean train?\n")
    message = "error: there is no tool zzz; mmseg-pointrend --help lists them\n"
    assert call("zzz")[::2] == (2, message)


def test_the_start_is_quick() -> None:
    """Nothing is imported that takes seconds, for help and for completion."""
    for words in (["--help"], ["train", "--help"], ["list-configs"]):
        loaded = run_python(
            f"import sys\nsys.argv = ['mmseg-pointrend', *{words}]\n"
            "from mmseg_pointrend.apis.command_line import main\n"
            "try:\n    main()\nexcept SystemExit:\n    pass\n"
            "print('loaded', {'torch', 'mmcv', 'mmseg', 'cv2'} & set(sys.modules))"
        )
        assert loaded.splitlines()[-1] == "loaded set()"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_tool_can_be_completed(path: Path) -> None:
    assert "parser = ToolParser(" in path.read_text()
    assert path in list_tools().values()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mmseg-pointrend tr", ["train"]),
        ("mmseg-pointrend train --res", ["--resume"]),
        ("mmseg-pointrend train --launcher s", ["slurm"]),
        (
            "mmseg-pointrend test pointrend_r50_4",
            [
                "pointrend_r50_4xb2-80k_cityscapes-512x1024",
                "pointrend_r50_4xb4-160k_ade20k-512x512",
            ],
        ),
        ("mmseg-pointrend train configs/point", ["configs/pointrend/"]),
        ("mmseg-pointrend predict fpn_r50_4xb4-160k_ade20k-512x512 w.pth READ", ["README.md"]),
        ("mmseg-pointrend nothing ", []),
    ],
)
def test_completion(line: str, expected: list[str], tmp_path: Path) -> None:
    run_python_for_completion = dict(
        _ARGCOMPLETE="1", _ARGCOMPLETE_IFS="\n", COMP_LINE=line, COMP_POINT=str(len(line)),
        COMP_TYPE="9", _ARGCOMPLETE_STDOUT_FILENAME=str(tmp_path / "completed"),
    )  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "mmseg_pointrend"], cwd=ROOT, capture_output=True, timeout=300,
        env=os.environ | run_python_for_completion,
    )  # fmt: skip
    written = tmp_path / "completed"
    found = written.read_text().split() if written.exists() else []
    assert found == expected


def test_what_a_shell_evaluates(call) -> None:
    for shell in command_line.SHELLS:
        status, output, _ = call("--completion", shell)
        assert status == 0 and "mmseg-pointrend" in output
    status, _, errors = call("--completion", "tcsh")
    assert status == 2 and "choose from" in errors
