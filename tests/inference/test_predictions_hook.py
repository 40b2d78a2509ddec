"""What a test writes: the same names, values and depth as a prediction of the same pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image
from torch import nn

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.prediction import predict_many
from mmseg_pointrend.apis.testing import test as run_test
from tests.engine.kills import write_config

SIZE = (23, 37)


def write_split(folder: Path, names: list[str], lowest: int = 0) -> None:
    rng = np.random.default_rng(len(names))
    for name in names:
        for kind, shape in (("images", (*SIZE, 3)), ("labels", SIZE)):
            path = folder / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            high = 256 if kind == "images" else 2 + lowest
            Image.fromarray(rng.integers(0, high, shape).astype(np.uint8)).save(path)


def write_test_config(
    folder: Path, parts: list[str], num_classes: int, **dataset: object
) -> tuple[Path, Path]:
    """Write a config that tests on folders of images and labels, and random weights."""
    config = Config.fromfile(write_config(folder / "base", iterations=6))
    leaves = [
        dict(
            type="BaseSegDataset",
            data_root=str(folder / part),
            data_prefix=dict(img_path="images", seg_map_path="labels"),
            img_suffix=".png",
            seg_map_suffix=".png",
            metainfo=dict(classes=[str(number) for number in range(num_classes)]),
            pipeline=[
                dict(type="LoadImageFromFile"),
                dict(type="LoadAnnotations"),
                dict(type="PackSegInputs"),
            ],
            **dataset,
        )
        for part in parts
    ]
    wrapped = dict(type="ConcatDataset", datasets=leaves)
    config.test_dataloader = dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type="DefaultSampler", shuffle=False),
        dataset=wrapped if len(leaves) > 1 else leaves[0],
    )
    config.test_cfg = dict(type="TestLoop")
    config.test_evaluator = dict(type="IoUMetric", iou_metrics=["mIoU"])
    config.model.decode_head.num_classes = num_classes
    config.model.decode_head.coarse_head.pop("num_classes", None)
    path = folder / "config.py"
    config.dump(path)
    torch.manual_seed(0)
    model = MODELS.build(prepare_config(path).model)
    for parameter in model.decode_head.parameters():
        nn.init.normal_(parameter, std=0.3)
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / "weights.pth")
    return path, folder / "weights.pth"


def read(folder: Path, ending: str = ".png") -> dict[str, np.ndarray]:
    return {
        path.relative_to(folder).as_posix(): np.array(Image.open(path))
        for path in folder.rglob(f"*{ending}")
    }


@pytest.mark.parametrize("num_classes", [3, 300])
def test_files_of_equal_names_in_several_folders(tmp_path: Path, num_classes: int) -> None:
    """Folders of one data set, and data sets of a wrapper; 16 bits for more than 256 classes."""
    write_split(tmp_path / "one", ["a/0", "b/0"])
    write_split(tmp_path / "two", ["a/0"])
    config, weights = write_test_config(tmp_path, ["one", "two"], num_classes)
    out, shown = tmp_path / "out", tmp_path / "shown"
    run_test(config, weights, tmp_path / "work", out, shown)
    found = read(out)
    names = {"one/images/a/0.png", "one/images/b/0.png", "two/images/a/0.png"}
    assert found.keys() == names
    predict_many(config, weights, [tmp_path / "*/images"], tmp_path / "predicted")
    expected = read(tmp_path / "predicted/labels")
    assert expected.keys() == names
    for name, labels in found.items():
        assert np.array_equal(labels, expected[name]) and labels.shape == SIZE
        assert labels.dtype == (np.uint8 if num_classes == 3 else np.uint16)
    assert max(labels.max() for labels in found.values()) > (0 if num_classes == 3 else 255)
    pictures = read(shown, ".jpg")
    assert pictures.keys() == {name.replace(".png", ".jpg") for name in names}
    assert all(pixels.shape == (SIZE[0], 2 * SIZE[1], 3) for pixels in pictures.values())


def test_indices_count_from_zero_whatever_the_data_set_does(tmp_path: Path) -> None:
    """With `reduce_zero_label`, mmsegmentation's metric writes one more."""
    write_split(tmp_path / "one", ["0", "1"], lowest=1)
    config, weights = write_test_config(tmp_path, ["one"], 2, reduce_zero_label=True)
    theirs = {"test_evaluator.output_dir": str(tmp_path / "theirs")}
    run_test(config, weights, tmp_path / "work", tmp_path / "out", options=theirs)
    found, upstream = read(tmp_path / "out"), read(tmp_path / "theirs")
    assert found.keys() == upstream.keys() == {"0.png", "1.png"}
    assert {label for labels in found.values() for label in np.unique(labels)} == {0, 1}
    assert all(np.array_equal(found[name] + 1, upstream[name]) for name in found)


def test_pictures_are_not_written_over(tmp_path: Path) -> None:
    write_split(tmp_path / "one", ["0"])
    config, weights = write_test_config(tmp_path, ["one"], 2)
    before = (tmp_path / "one/images/0.png").read_bytes()
    with pytest.raises(ValueError, match="0.png is a picture of the data set: take another folder"):
        run_test(config, weights, tmp_path / "work", tmp_path / "one/images")
    assert (tmp_path / "one/images/0.png").read_bytes() == before
