"""Label maps lie where the picture lies, in validation, testing and augmentation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmseg.registry import METRICS, TRANSFORMS
from PIL import Image
from torch import nn

import mmseg_pointrend.engine  # noqa: F401 - registers the hook
from tests.models.builders import model_config
from tests.tools.commands import forget_runs

init_default_scope("mmseg")

LOAD, LABELS, PACK = (
    {"type": f"{name}"} for name in ("LoadImageFromFile", "LoadAnnotations", "PackSegInputs")
)
#: The value that the preprocessor takes away: as if it had padded itself.
PAD = dict(type="Pad", size=(96, 64), pad_val=dict(img=127, seg=255))


@METRICS.register_module()
class KeepLabelsOfATest(BaseMetric):
    """Keeps the label maps."""

    kept: list = []

    def process(self, data_batch: dict, data_samples: list) -> None:
        for sample in data_samples:
            KeepLabelsOfATest.kept.append(sample["pred_sem_seg"]["data"][0].cpu().numpy())
            self.results.append(0)

    def compute_metrics(self, results: list) -> dict:
        return {}


@TRANSFORMS.register_module()
class TurnOfATest(BaseTransform):
    """Turns the picture."""

    def transform(self, results: dict) -> dict:
        return dict(results, img=np.rot90(results["img"]).copy())


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures of the same size, and label maps."""
    rng = np.random.default_rng(0)
    for index in range(3):
        for folder, shape, top in (("images", (37, 51, 3), 256), ("labels", (37, 51), 4)):
            path = tmp_path / folder / f"{index}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, top, shape).astype(np.uint8)).save(path)
    return tmp_path


def model_of(**changes: object) -> dict:
    """A small segmentor whose preprocessor does not pad, unless it is another."""
    return model_config() | dict(dict(data_preprocessor=preprocessor()), **changes)


def preprocessor(**changes: object) -> dict:
    return dict(
        type="SegDataPreProcessor", mean=[127.0] * 3, std=[60.0] * 3, bgr_to_rgb=True, **changes
    )


def runner(folder: Path, steps: list, split: str = "test", **model: object) -> Runner:
    forget_runs()
    config = model if "module" in model else model_of(**model)
    dataset = dict(
        type="BaseSegDataset", data_root=str(folder), img_suffix=".png", seg_map_suffix=".png",
        data_prefix=dict(img_path="images", seg_map_path="labels"), pipeline=steps, test_mode=True,
        metainfo=dict(classes=("a", "b", "c", "d")),
    )  # fmt: skip
    loader = dict(
        batch_size=1, num_workers=0, sampler=dict(type="DefaultSampler", shuffle=False),
        dataset=dataset,
    )  # fmt: skip
    torch.manual_seed(0)
    made = Runner.from_cfg(Config({
        "model": config, "work_dir": str(folder / "work"), "default_scope": "mmseg",
        f"{split}_dataloader": loader, f"{split}_evaluator": dict(type="KeepLabelsOfATest"),
        f"{split}_cfg": {}, "custom_hooks": [dict(type="RestoringHook")],
        "randomness": dict(seed=0),
    }))  # fmt: skip
    for parameter in getattr(made.model, "module", made.model).decode_head.parameters():
        nn.init.normal_(parameter, std=0.3)
    return made


def labels(made: Runner, split: str = "test") -> list[np.ndarray]:
    KeepLabelsOfATest.kept.clear()
    made.test() if split == "test" else made.val()
    found = list(KeepLabelsOfATest.kept)
    assert len(found) == 3 and len(np.unique(found)) > 1
    return found


@pytest.mark.parametrize(("split", "mode"), [("test", "whole"), ("val", "slide")])
def test_padding_in_the_pipeline_is_that_of_the_preprocessor(
    pictures: Path, split: str, mode: str
) -> None:
    sliding = dict(mode=mode, crop_size=(32, 48), stride=(20, 30))
    padded = preprocessor(test_cfg=dict(size=(64, 96)))
    expected = labels(
        runner(pictures, [LOAD, LABELS, PACK], split, data_preprocessor=padded, test_cfg=sliding),
        split,
    )
    found = labels(runner(pictures, [LOAD, PAD, LABELS, PACK], split, test_cfg=sliding), split)
    for ours, reference in zip(found, expected, strict=True):
        assert ours.shape == (37, 51) and np.array_equal(ours, reference)


@pytest.mark.parametrize("kind", ["PointRend", "EncoderDecoder"])
def test_padding_and_flips_of_a_view_are_undone(pictures: Path, kind: str) -> None:
    """With any segmentor; the mean of one view is the view."""
    resize = dict(type="Resize", scale=(80, 60))
    padded = preprocessor(test_cfg=dict(size=(64, 96)))
    flip = dict(type="RandomFlip", prob=1.0)
    views = dict(type="TestTimeAug", transforms=[[resize], [flip], [LABELS], [PACK]])
    with_pad = dict(type="TestTimeAug", transforms=[[resize], [flip], [PAD], [LABELS], [PACK]])
    results = []
    for steps, changes in (([LOAD, views], dict(data_preprocessor=padded)), ([LOAD, with_pad], {})):
        module = model_of(type=kind, **changes)
        made = runner(pictures, steps, type="PointRendTTA", module=module)
        results.append(labels(made))
    for ours, reference in zip(*results, strict=True):
        assert np.array_equal(ours, reference)


def test_the_config_stays_as_it_was_written(pictures: Path) -> None:
    made = runner(pictures, [LOAD, PAD, LABELS, PACK])
    before = made.cfg.pretty_text
    labels(made)
    assert made.cfg.pretty_text == before


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([LOAD, dict(type="CenterCrop", crop_size=(30, 20)), PACK], "CenterCrop cuts a piece out"),
        ([LOAD, dict(type="TurnOfATest"), PACK], "TurnOfATest makes 37 x 51 pixels of 51 x 37"),
        ([LOAD, LABELS, PAD, PACK], "Pad moves the label map"),
    ],
)
def test_what_is_not_undone_is_named_before_a_picture_is_predicted(
    pictures: Path, steps: list, message: str
) -> None:
    split = "val" if LABELS in steps else "test"
    made = runner(pictures, steps, split)
    KeepLabelsOfATest.kept.clear()
    with pytest.raises(ValueError, match=rf"^{split}_dataloader.dataset.pipeline: {message}"):
        made.test() if split == "test" else made.val()
    assert not KeepLabelsOfATest.kept


def test_other_segmentors_are_refused_what_they_do_not_undo(pictures: Path) -> None:
    labels(
        runner(
            pictures, [LOAD, dict(type="RandomFlip", prob=1.0), LABELS, PACK], type="EncoderDecoder"
        )
    )
    with pytest.raises(ValueError, match="^test_dataloader.dataset.pipeline: only model.type"):
        labels(runner(pictures, [LOAD, PAD, LABELS, PACK], type="EncoderDecoder"))


def test_data_that_mixes_pictures_is_refused(pictures: Path) -> None:
    made = runner(pictures, [LOAD])
    inner = made.cfg.test_dataloader.dataset
    mosaic = dict(type="RandomMosaic", prob=1.0)
    made.cfg.test_dataloader.dataset = dict(
        type="MultiImageMixDataset", dataset=inner, pipeline=[mosaic, PACK]
    )
    made._test_dataloader = made.cfg.test_dataloader
    made._test_loop = dict()
    with pytest.raises(
        ValueError, match="^test_dataloader.dataset: MultiImageMixDataset has a pip"
    ):
        made.test()
