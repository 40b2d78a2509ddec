"""CamVid and the horses: their configs on files made here, and on the real ones where there are.

`MMSEG_POINTREND_DATA` names a folder with `camvid` (or `camvid_sample`, a part without `val`) and
`horses`, laid out as docs/get_started.md says. Nothing of it is copied.
"""

import os
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, MODELS
from PIL import Image

from mmseg_pointrend.apis.configs import prepare_config, shipped_config
from mmseg_pointrend.apis.testing import test as measure
from mmseg_pointrend.apis.training import train

DATA = os.environ.get("MMSEG_POINTREND_DATA", "")
CAMVID = shipped_config("pointrend/pointrend_efficientnet-lite0_1xb2-500_camvid-360x480.py")
HORSES = shipped_config("pointrend/pointrend_efficientnet-lite0-p3p5_1xb4-500_horses-256x256.py")
SPLITS = ("train", "val", "test")
# Parts of a config that ignore a label: all must name the same.
IGNORING = re.compile(r"(ignore_index|seg_pad_val)")


@pytest.fixture(scope="module", autouse=True)
def scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope("mmseg"):
        yield


def options_of(root: Path, **others: object) -> dict:
    """Options for data in another place, for a training of two iterations on small crops."""
    places = {f"{split}_dataloader.dataset.data_root": str(root) for split in SPLITS}
    return places | {
        "train_cfg.max_iters": 2,
        "train_cfg.val_interval": 2,
        "param_scheduler.0.end": 1,
        "param_scheduler.1.begin": 1,
        "param_scheduler.1.end": 2,
        "default_hooks.checkpoint.interval": 2,
        "train_dataloader.dataset.pipeline.3.crop_size": (64, 96),
        "model.data_preprocessor.size": (64, 96),
        **others,
    }


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def write_pictures(
    root: Path, folders: tuple[str, str], classes: int, ending: str, void: int | None = None
) -> None:
    """Write two pictures of odd sizes and their label maps, every class in each."""
    rng = np.random.default_rng(len(folders[0]))
    for number, (height, width) in enumerate([(71, 103), (90, 68)]):
        labels = np.arange(height)[:, None] * classes // height + np.zeros((1, width), int)
        image = 20 * labels[:, :, None] + rng.integers(0, 20, (height, width, 3))
        if void is not None:
            labels[:9] = void
        write(root / folders[0] / f"{number}{ending}", image)
        write(root / folders[1] / f"{number}.png", labels)


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("camvid")
    for split in SPLITS:
        write_pictures(root, (split, f"{split}annot"), 11, ".png", void=11)
    return root


@pytest.fixture(scope="module")
def horses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("horses")
    for split in ("train", "val"):
        write_pictures(root, (f"images/{split}", f"labels/{split}"), 2, ".jpg")
    return root


def ignored_labels(node: object, key: str = "") -> Iterator[int]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from ignored_labels(value, name)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from ignored_labels(value)
    elif IGNORING.fullmatch(key):
        yield node


@pytest.mark.parametrize(
    "path", sorted(CAMVID.parents[1].glob("*/*_camvid-*")), ids=lambda p: p.stem
)
def test_the_void_label_is_written_once_and_ignored_everywhere(path: Path) -> None:
    config = prepare_config(path)
    # Head, padding, three data sets, three metrics in validation and test.
    assert list(ignored_labels(config.to_dict())).count(11) >= 11
    assert set(ignored_labels(config.to_dict())) == {11}
    assert not re.search(r"\b11\b", path.read_text())
    base = (path.parents[1] / "_base_/datasets/camvid.py").read_text()
    code = "\n".join(line for line in base.splitlines() if not line.startswith("#"))
    assert re.findall(r".*\b11\b.*", code) == ["ignore_index = 11"]


@pytest.mark.slow
def test_camvid_is_trained_and_tested(camvid: Path, tmp_path: Path) -> None:
    """With weights of ImageNet; what void pixels are predicted as counts nowhere."""
    options = options_of(camvid)
    train(CAMVID, tmp_path / "work", options=options)
    checkpoint = tmp_path / "work/iter_2.pth"
    tested = partial(measure, CAMVID, checkpoint, tmp_path / "test", options=options)
    result = tested(out=tmp_path / "out")
    assert {"mIoU", "trimap/mIoU_2px", "trimap/mIoU_20px", "boundary/mIoU_0.02"} <= result.keys()
    known = np.concatenate([
        np.stack([
            np.array(Image.open(camvid / f"testannot/{number}.png"))[9:].ravel(),
            np.array(Image.open(tmp_path / f"out/{number}.png"))[9:].ravel(),
        ], axis=1)
        for number in range(2)
    ])  # fmt: skip
    assert result["aAcc"] == pytest.approx(100 * (known[:, 0] == known[:, 1]).mean(), abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("logits", ["", "-two-logits"])
def test_horses_are_trained_and_tested(logits: str, horses: Path, tmp_path: Path) -> None:
    config = HORSES.with_name(HORSES.name.replace("p3p5", f"p3p5{logits}"))
    options = options_of(horses)
    options["model.backbone.init_cfg"] = None
    train(config, tmp_path / "work", options=options)
    result = measure(config, tmp_path / "work/iter_2.pth", tmp_path / "test", options=options)
    assert 0 <= result["trimap/mIoU_2px"] <= 100 and 0 <= result["mIoU"] <= 100


def test_without_data_one_line_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as told:
        train(CAMVID, tmp_path / "work", options=options_of(tmp_path / "camvid"))
    (line,) = str(told.value).splitlines()
    assert line.startswith(
        f"train_dataloader.dataset: {tmp_path}/camvid/train does not exist; set data_root"
    )


def test_what_contradicts_the_void_label_is_named(camvid: Path, tmp_path: Path) -> None:
    """Before the first iteration: a label that is no class, another ignored label in the head."""
    random = {"model.backbone.init_cfg": None}
    shutil.copytree(camvid, tmp_path / "camvid")
    write(tmp_path / "camvid/trainannot/1.png", np.full((90, 68), 12))
    with pytest.raises(ValueError, match=r"1\.png holds the label\(s\) 12; .* \[0, 10\] or be 11"):
        train(CAMVID, tmp_path / "work", options=options_of(tmp_path / "camvid", **random))
    others = random | {"model.decode_head.ignore_index": 255}
    with pytest.raises(ValueError, match="ignore_index=11.* must be the same everywhere"):
        train(CAMVID, tmp_path / "work", options=options_of(camvid, **others))


def find_data(*names: str) -> Path:
    for name in names:
        if DATA and (Path(DATA) / name).is_dir():
            return Path(DATA) / name
    pytest.skip(f"no real pictures: MMSEG_POINTREND_DATA names no folder with {names[0]}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "folders"), [(CAMVID, ("camvid", "camvid_sample")), (HORSES, ("horses",))]
)
def test_real_pictures_are_learned_from_and_predicted(path: Path, folders: tuple[str, ...]) -> None:
    """A step of training from ImageNet, and a picture of the test at its own size."""
    root = find_data(*folders)
    options = {f"{split}_dataloader.dataset.data_root": str(root) for split in ("train", "test")}
    config = prepare_config(path, options=options)
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    pictures = DATASETS.build(config.train_dataloader.dataset)
    batch = model.data_preprocessor(pseudo_collate([pictures[0], pictures[1]]), True)
    loss, _ = model.train().parse_losses(model(**batch, mode="loss"))
    loss.backward()
    assert loss.isfinite() and loss > 0
    tested = DATASETS.build(config.test_dataloader.dataset)[0]
    (result,) = model.eval().test_step(pseudo_collate([tested]))
    predicted, truth = result.pred_sem_seg.data, result.gt_sem_seg.data
    assert predicted.shape == truth.shape == (1, *result.ori_shape)
    labels = set(truth.unique().tolist())
    assert labels <= {*range(model.num_classes), model.decode_head.ignore_index}
    assert set(predicted.unique().tolist()) <= set(range(model.num_classes))
