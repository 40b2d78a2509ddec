"""Training and testing of detectors with masks, by the tools: on files, resumed, killed."""

import json
import re
import shutil
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pycocotools.mask import decode

from mmseg_pointrend.compat import versions
from tests.engine.kills import find_difference, start_training, train_killed
from tests.forks import finish
from tests.instance.tiny_coco import CONFIGS, MASK_RCNN, write_config, write_tiny_coco


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PointRend's config of one pass, in small, on tiny data."""
    return write_config(tmp_path_factory.mktemp("pointrend"))


@pytest.fixture(scope="module")
def weights(config: Path) -> Path:
    """A checkpoint of random weights."""
    from mmdet.registry import MODELS

    from mmseg_pointrend.apis.configs import prepare_config

    torch.manual_seed(0)
    model = MODELS.build(prepare_config(config).model)
    path = config.parent / "random.pth"
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


@pytest.mark.slow
def test_train_resume_and_test(config: Path, tmp_path: Path, call_tool) -> None:
    """A resumed training is the whole one to the bit; its checkpoint is tested."""
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    printed = call_tool("train.py", config, "--work-dir", whole)
    assert "train_dataloader.dataset: 4 pictures, 1 of them without objects, 6 objects" in printed
    assert "loss_point" in printed and re.search(r"Epoch\(val\).*coco/segm_mAP", printed)

    resumed.mkdir()
    shutil.copy(whole / "epoch_1.pth", resumed)
    (resumed / "last_checkpoint").write_text(str(resumed / "epoch_1.pth"))
    printed = call_tool("train.py", config, "--work-dir", resumed, "--resume")
    assert "resumed epoch: 1, iter: 2" in printed
    assert find_difference(whole / "epoch_2.pth", resumed / "epoch_2.pth") is None

    checkpoint = torch.load(whole / "epoch_2.pth", weights_only=True)
    assert checkpoint["meta"]["iter"] == 4
    metric = 'test_evaluator.0.type="InstanceMaskMetric"'
    printed = call_tool(
        "test.py", config, whole / "epoch_2.pth", "--work-dir", whole, "--cfg-options", metric
    )
    assert "test_dataloader.dataset: 4 pictures" in printed
    assert re.search(r"coco/segm_mAP: -?\d", printed)
    # Of the coarse masks, too.
    assert "coco/coarse/segm_mAP" in printed and "coco/gain/segm_mAP" in printed

    del checkpoint["state_dict"]["roi_head.mask_head.point_head.fc_seg.weight"]
    torch.save(checkpoint, tmp_path / "other.pth")
    errors = call_tool.fail("test.py", config, tmp_path / "other.pth", "--work-dir", whole)
    assert "leaves 1 of" in errors and "point_head.fc_seg.weight" in errors


@pytest.mark.slow
def test_killed_and_resumed(tmp_path: Path) -> None:
    iterations = 8
    config = write_config(
        tmp_path,
        train_cfg=dict(_delete_=True, type="IterBasedTrainLoop", max_iters=8, val_interval=8),
        default_hooks__checkpoint=dict(by_epoch=False, interval=1, max_keep_ckpts=1),
        log_processor__by_epoch=False,
        train_dataloader__sampler=dict(type="InfiniteSampler"),
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    log, start = tmp_path / "whole.log", time.monotonic()
    assert finish(start_training(config, whole, log)) == 0, log.read_text()
    # Well before the end, however fast the machine is.
    longest = 0.6 * (time.monotonic() - start)
    assert list(train_killed(config, killed, kills=2, longest=longest, seed=0))
    last = f"iter_{iterations}.pth"
    assert find_difference(whole / last, killed / last) is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["train_dataloader.dataset.ann_file=none.json"],
            "train_dataloader.dataset: ann_file none.json does not exist",
        ),
        (
            ["train_dataloader.dataset.data_prefix.img=none"],
            "train_dataloader.dataset: folder of pictures none does not exist",
        ),
        (["val_evaluator.0.ann_file=none.json"], "val_evaluator: ann_file none.json does not"),
        (
            ["val_dataloader.dataset.metainfo.classes=('box','disc')"],
            "has them in another order, 'disc', 'box', which mmdet labels would follow",
        ),
        (
            ["train_dataloader.dataset.metainfo.classes=('disc','cup')"],
            "has no 'cup'; set metainfo=dict(classes=('disc', 'box',))",
        ),
        (
            ["model.roi_head.bbox_head.num_classes=80"],
            "roi_head.bbox_head.num_classes=80, but CocoDataset (train_dataloader.dataset) has 2 "
            "classes; set model.roi_head.bbox_head.num_classes=2",
        ),
        (
            ["val_dataloader.dataset.pipeline.1.type=RandomFlip"],
            "val_dataloader.dataset.pipeline: RandomFlip moves the picture",
        ),
        (["train_dataloader.dataset.type=BaseDetDataset"], "BaseDetDataset is no data set of COCO"),
        (
            ["train_dataloader.dataset.filter_cfg.min_size=1000"],
            "a data set has no pictures left: its filter_cfg",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line(
    config: Path, tmp_path: Path, call_tool, options: list[str], told: str
) -> None:
    errors = call_tool.fail(
        "train.py", config, "--work-dir", tmp_path / "work", "--cfg-options", *options
    )
    (line,) = (line for line in errors.splitlines() if line.startswith("error: "))
    assert told in line


def test_a_missing_picture_is_found_before_training(tmp_path: Path, call_tool) -> None:
    config = write_config(tmp_path)
    (tmp_path / "data/images/2.png").unlink()
    errors = call_tool.fail("train.py", config, "--work-dir", tmp_path / "work")
    assert re.search(r"error: train_dataloader.dataset: 1 of 4 pictures of .* do not exist", errors)


@pytest.fixture
def pictures(config: Path) -> Path:
    return config.parent / "data/images"


def test_predict_a_folder(config: Path, weights: Path, pictures: Path, tmp_path: Path, call_tool):
    """JSON for each picture, none for a bad one; what is finished is not predicted again."""
    folder, out = tmp_path / "pictures", tmp_path / "out"
    shutil.copytree(pictures, folder / "a")
    (folder / "bad.png").write_bytes(b"no picture")
    # A size that is no multiple of anything.
    cv2.imwrite(str(folder / "odd.png"), np.full((61, 97, 3), 90, np.uint8))
    command = ("predict.py", config, weights, folder, "--out", out, "--overlays", "--score", 0.01)
    assert call_tool.status(*command) == 1  # one is bad
    names = {path.relative_to(out).as_posix() for path in out.rglob("*.json")}
    assert names == {
        "predicted_by.json", "instances/odd.json", *(f"instances/a/{i}.json" for i in range(4))
    }  # fmt: skip
    for path in (out / "instances").rglob("*.json"):
        found = json.loads(path.read_text())
        shape = (found["height"], found["width"])
        assert shape == ((61, 97) if path.stem == "odd" else (64, 96))
        assert found["instances"]
        scores = [one["score"] for one in found["instances"]]
        assert scores == sorted(scores, reverse=True) and scores[-1] >= 0.01
        for one in found["instances"]:
            assert one["category"] == ("disc", "box")[one["category_id"]]
            assert decode(one["segmentation"]).shape == shape
            assert len(one["bbox"]) == 4 and min(one["bbox"][2:]) >= 0
        painted = cv2.imread(str(out / "overlays" / path.relative_to(out / "instances"))
                             .replace(".json", ".jpg"))  # fmt: skip
        assert painted.shape == (*shape, 3)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.json")}
    (out / "instances/odd.json").unlink()
    assert call_tool.status(*command) == 1
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.json")}
    assert {path.name for path in before if before[path] != after[path]} == {"odd.json"}
    errors = call_tool.fail(*command[:-1], 0.5)
    assert "holds predictions by something else: settings was" in errors


def test_a_test_writes_coco_results_and_pictures(
    config: Path, weights: Path, tmp_path: Path, call_tool
) -> None:
    out, shown = tmp_path / "out", tmp_path / "shown"
    call_tool(
        "test.py", config, weights, "--work-dir", tmp_path / "work", "--out", out,
        "--show-dir", shown,
    )  # fmt: skip
    found = json.loads((out / "predictions.segm.json").read_text())
    assert {one["image_id"] for one in found} == {1, 2, 3, 4}
    assert {one["category_id"] for one in found} <= {10, 20}
    assert all(decode(one["segmentation"]).shape == (64, 96) for one in found)
    assert {path.name for path in shown.iterdir()} == {f"{number}.jpg" for number in range(4)}
    assert cv2.imread(str(shown / "0.jpg")).shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (["--window", "32", "32"], "window is for label maps"),
        (["--confidence"], "confidence is for label maps"),
        (["--no-palette"], "no-palette (colored=False) is for label maps"),
        (["--score", "2"], "score must lie in [0, 1], got 2.0"),
    ],
)
def test_options_of_predictions_are_checked(
    config: Path, weights: Path, pictures: Path, tmp_path: Path, call_tool, option: list, told: str
) -> None:
    errors = call_tool.fail(
        "predict.py", config, weights, pictures, "--out", tmp_path / "out", *option
    )
    assert f"error: {told}" in errors


def test_what_is_for_label_maps_is_refused(config: Path, weights: Path, call_tool) -> None:
    errors = call_tool.fail("test.py", config, weights, "--tta")
    assert "error: tta: mmdet merges the boxes of several views, and no masks" in errors
    for name, *arguments in (
        ("analysis_tools/browse_training.py", config, "--out", "pictures"),
        ("analysis_tools/confusion_matrix.py", config, weights),
        (
            "analysis_tools/draw_training_points.py",
            "--config",
            config,
            "--checkpoint",
            weights,
            "--image",
            config.parent / "data/images/0.png",
            "--out",
            "points.png",
        ),
        ("predict.py", config, weights, config.parent / "data/images/0.png", "--out", "a.png"),
    ):
        errors = call_tool.fail(name, *arguments)
        assert "takes configs of semantic segmentation (default_scope='mmseg'), got" in errors


def test_without_mmdet_a_config_says_what_to_install(call_tool, monkeypatch) -> None:
    monkeypatch.setattr(versions, "_FOR_MMDET", ("mmdet_that_is_missing",))
    for name in [name for name in sys.modules if name.startswith("mmseg_pointrend.instance")]:
        monkeypatch.delitem(sys.modules, name)
    errors = call_tool.fail("train.py", CONFIGS / f"{MASK_RCNN}.py")
    (line,) = (line for line in errors.splitlines() if line.startswith("error: "))
    assert 'pip install "mmseg-pointrend[instance]"' in line


def test_data_are_as_they_are_said_to_be(tmp_path: Path) -> None:
    """mmdet's own data set reads the tiny data: polygons, runs, a crowd, an empty picture."""
    from mmdet.datasets import CocoDataset

    data = write_tiny_coco(tmp_path)
    dataset = CocoDataset(
        ann_file=str(data / "instances.json"),
        data_prefix=dict(img=str(data / "images")),
        metainfo=dict(classes=("disc", "box")),
    )
    found = [
        [(one["bbox_label"], one["ignore_flag"]) for one in dataset[i]["instances"]]
        for i in range(4)
    ]
    assert found == [[(0, 0), (1, 1)], [(0, 0), (1, 0)], [(0, 0), (1, 0)], []]
