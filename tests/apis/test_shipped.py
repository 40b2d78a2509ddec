"""Configs by their names."""

from pathlib import Path

import pytest

from mmseg_pointrend.apis import list_configs
from mmseg_pointrend.apis.configs import load_config, prepare_config
from mmseg_pointrend.apis.shipped import find_config, shipped_config

ROOT = Path(__file__).parents[2] / "configs"
NAME = "pointrend_r50_4xb2-80k_cityscapes-512x1024"


def test_every_config_has_a_name_of_its_own() -> None:
    paths = [path for path in ROOT.rglob("*.py") if "_base_" not in path.parts]
    names = list_configs()
    assert names == sorted(path.stem for path in paths) and len(set(names)) == len(names) > 40
    assert all(find_config(path.stem) == path for path in paths)
    # As a data set has them, not as this project names its folders.
    assert all("cityscapes" in name for name in list_configs("*cityscapes*"))
    assert NAME in list_configs("pointrend_r50_*") and NAME not in list_configs("fpn*")


def test_a_name_is_a_config_wherever_one_is_taken(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = load_config(ROOT / f"pointrend/{NAME}.py")
    for name in (NAME, f"{NAME}.py"):
        assert load_config(name).pretty_text == expected.pretty_text
    assert prepare_config(NAME).work_dir == f"work_dirs/{NAME}"
    # A file comes first.
    Path(f"{NAME}.py").write_text("model = dict(type='Mine')")
    assert load_config(f"{NAME}.py").model.type == "Mine"


def test_what_is_neither() -> None:
    message = (
        "config pointrend_r50_cityscapes does not exist: no file, and no name of a config of this "
        "project; did you mean pointrend_"
    )
    with pytest.raises(FileNotFoundError, match=message):
        find_config("pointrend_r50_cityscapes")
    with pytest.raises(FileNotFoundError, match="config zzz.py does not .* of this project$"):
        find_config("zzz.py")
    with pytest.raises(FileNotFoundError, match="this project has no config nowhere.py"):
        shipped_config("nowhere.py")
