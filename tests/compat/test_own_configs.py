"""A config that lies anywhere has a base of this project."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_pointrend import compat
from mmseg_pointrend.compat.own_configs import shipped_folder

BASE = "pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py"

compat.setup()


def write_child(folder: Path, base: str) -> Path:
    path = folder / "child.py"
    path.write_text(f"_base_ = {base!r}\nmodel = dict(decode_head=dict(num_classes=3))\n")
    return path


def test_it_is_the_config_as_by_its_path(tmp_path: Path) -> None:
    compat.setup()  # again
    child = Config.fromfile(write_child(tmp_path, f"mmseg_pointrend::{BASE}"))
    expected = Config.fromfile(write_child(tmp_path, str(shipped_folder("configs") / BASE)))
    assert child.model.decode_head.num_classes == 3
    assert child.to_dict() == expected.to_dict()  # no `_scope_` in it
    part = "mmseg_pointrend::_base_/models/pointrend_fpn_r50.py"
    assert Config.fromfile(write_child(tmp_path, part)).model.type == "PointRend"
    # mmsegmentation's are found as before.
    theirs = "mmseg::_base_/schedules/schedule_80k.py"
    assert Config.fromfile(write_child(tmp_path, theirs)).train_cfg.max_iters == 80000


def test_one_that_is_not_there(tmp_path: Path) -> None:
    path = write_child(tmp_path, "mmseg_pointrend::pointrend/nowhere.py")
    message = f"{path}: _base_ .* there is no config pointrend/nowhere.py"
    with pytest.raises(FileNotFoundError, match=message):
        Config.fromfile(path)
