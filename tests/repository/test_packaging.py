"""The built wheel: what it holds, and that it works where it is installed."""

import json
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "mmseg_pointrend"

pytestmark = pytest.mark.slow

# Run in the fresh environment: loads every config that the installed package ships, and one model's
# entry in the metafile, as mmengine's hub finds it.
LOAD_CONFIGS = """
import json, pathlib, sys
import mmseg_pointrend
from mmseg_pointrend import compat
compat.setup()
from mmengine import Config
from mmengine.config.utils import _get_cfg_metainfo

package = pathlib.Path(mmseg_pointrend.__file__).parent
root = package / ".mim" / "configs"
loaded, errors = [], {}
for path in sorted(root.rglob("*.py")):
    name = path.relative_to(root).as_posix()
    try:
        Config.fromfile(path)
        loaded.append(name)
    except Exception as error:
        errors[name] = repr(error)
model = _get_cfg_metainfo(str(package), "pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py")
report = {"package": str(package), "loaded": loaded, "errors": errors, "model": model}
with open(sys.argv[1], "w") as file:
    json.dump(report, file)
"""


def _run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _build_wheel(source: Path, folder: Path) -> Path:
    """Build with the backend that is installed here, so that nothing is downloaded."""
    pip_wheel = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
    _run(*pip_wheel, "--no-index", "--wheel-dir", folder, source, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _list_sources(folder: str, pattern: str) -> list[str]:
    """Return the files below a folder of the repository, relative to it."""
    top = ROOT / folder
    return sorted(
        path.relative_to(top).as_posix()
        for path in top.rglob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    )


def _list_members(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return _build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """The Python of a new environment that holds the wheel, and sees what is installed here.

    The packages of the running environment follow on the path, through a .pth file: nothing is
    downloaded, torch is not installed twice, and the wheel, which comes first, is the one imported.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / Path(sys.executable).name
    install = ("-m", "pip", "--python", python, "install", "--no-deps", "--no-index")
    _run(sys.executable, *install, wheel, cwd=folder)
    site = Path(
        _run(
            python, "-Ic", "import sysconfig as s; print(s.get_path('purelib'))", cwd=folder
        ).strip()
    )
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "zz_outer_environment.pth").write_text("\n".join(sorted(paths)), "utf-8")
    return python


def test_wheel_holds_the_package_with_configs_and_tools_and_nothing_else(wheel):
    expected = {f"{PACKAGE}/{name}" for name in _list_sources(PACKAGE, "*")}
    expected.add(f"{PACKAGE}/.mim/model-index.yml")
    for folder in ("configs", "tools"):
        names = _list_sources(folder, "*")
        assert any(name.endswith(".py") for name in names), f"{folder}/ holds no Python file"
        expected |= {f"{PACKAGE}/.mim/{folder}/{name}" for name in names}
    members = {name for name in _list_members(wheel) if ".dist-info/" not in name}
    assert members == expected


def test_wheel_carries_the_licence_and_the_version(wheel):
    import mmseg_pointrend

    members = _list_members(wheel)
    assert [name for name in members if name.endswith(".dist-info/licenses/LICENSE")]
    assert wheel.name == f"{PACKAGE}-{mmseg_pointrend.__version__}-py3-none-any.whl"


def test_wheel_from_the_sdist_is_the_same(wheel, tmp_path):
    _run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "CITATION.cff", "Makefile", "requirements/torch.txt", "tests/repository/test_packaging.py",
    } <= names  # fmt: skip
    assert _list_members(_build_wheel(sdist, tmp_path)) == _list_members(wheel)


def test_installed_wheel_loads_every_config(python, tmp_path):
    # -I: neither the folder it runs in nor PYTHONPATH can bring back the source tree
    report = tmp_path / "report.json"
    _run(python, "-I", "-c", LOAD_CONFIGS, report, cwd=tmp_path)
    found = json.loads(report.read_text("utf-8"))
    assert found["errors"] == {}
    expected = _list_sources("configs", "*.py")
    assert any(name.startswith("pointrend/") for name in expected)
    assert found["loaded"] == expected
    assert found["model"]["Config"] == f"configs/pointrend/{found['model']['Name']}.py"
    assert found["model"]["Weights"].startswith("https://download.openmmlab.com/mmsegmentation/")
    environment = python.parent.parent.resolve()
    assert Path(found["package"]).resolve().is_relative_to(environment)
    assert not Path(found["package"]).resolve().is_relative_to(ROOT)


# A user's config, anywhere; random weights of it.
USERS_CONFIG = """_base_ = (
    "mmseg_pointrend::pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py"
)
model = dict(decode_head=dict(num_classes=3))
"""
SAVE_WEIGHTS = """
import sys, torch
from mmseg_pointrend.apis.configs import prepare_config
from mmseg.registry import MODELS

torch.save(dict(state_dict=MODELS.build(prepare_config(sys.argv[1]).model).state_dict()), "w.pth")
"""
COMPLETE = """
PATH="$1:$PATH"
eval "$(mmseg-pointrend --completion bash)"
COMP_LINE="mmseg-pointrend test pointrend_r50_4xb4" COMP_POINT=39 COMP_TYPE=9
_python_argcomplete mmseg-pointrend
echo "${COMPREPLY[@]}"
"""


def test_the_installed_command(python, tmp_path):
    """A config of a user's own, outside of any checkout, to a label map; a shell completes it."""
    command = python.with_name("mmseg-pointrend")
    for tool in Path(ROOT / "tools").rglob("*.py"):
        assert f"  {tool.stem.replace('_', '-')} " in _run(command, "--help", cwd=tmp_path)
    names = _run(command, "list-configs", "pointrend_r50*", cwd=tmp_path).split()
    assert "pointrend_r50_4xb2-80k_cityscapes-512x1024" in names
    (tmp_path / "mine.py").write_text(USERS_CONFIG, "utf-8")
    Image.new("RGB", (53, 41)).save(tmp_path / "picture.png")
    _run(python, "-I", "-c", SAVE_WEIGHTS, "mine.py", cwd=tmp_path)
    _run(command, "predict", "mine.py", "w.pth", "picture.png", "--out", "l.png", cwd=tmp_path)
    assert Image.open(tmp_path / "l.png").size == (53, 41)
    found = _run("bash", "-c", COMPLETE, "bash", command.parent, cwd=tmp_path)
    assert found.split() == ["pointrend_r50_4xb4-160k_ade20k-512x512"]


def test_the_wheel_says_that_it_is_typed(wheel):
    assert f"{PACKAGE}/py.typed" in _list_members(wheel)


def test_the_citation_is_that_of_the_paper_and_of_this_version():
    import mmseg_pointrend

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == mmseg_pointrend.__version__
    assert citation["license"] == "Apache-2.0"
    paper = citation["preferred-citation"]
    assert paper["title"] == "PointRend: Image Segmentation as Rendering"
    assert [author["family-names"] for author in paper["authors"]] == [
        "Kirillov", "Wu", "He", "Girshick",
    ]  # fmt: skip
