"""The same label values for the same picture, however it is predicted and whatever a config says.

Compared are `predict`, `test` with label maps written, with and without augmentation by one view,
and mmsegmentation's `inference_model` and `MMSegInferencer`, which may also refuse a picture.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmseg.apis import MMSegInferencer, inference_model, init_model
from mmseg.registry import MODELS, TRANSFORMS
from PIL import Image
from torch import nn

from mmseg_pointrend.apis.configs import load_config
from mmseg_pointrend.apis.prediction import predict
from mmseg_pointrend.apis.testing import test as run_test
from mmseg_pointrend.lab.benchmark.models import let_coarse_logits_through
from tests.models.builders import model_config
from tests.tools.commands import forget_runs

LOAD = dict(type="LoadImageFromFile")
PAD = dict(type="Pad", size=(96, 64))
AXES = dict(
    loader=dict(
        colour=LOAD,
        pillow=dict(LOAD, imdecode_backend="pillow"),
        grey=dict(LOAD, color_type="grayscale"),
        deep=dict(LOAD, color_type="unchanged", to_float32=True),
        custom=dict(type="LoadNegativeOfATest"),
    ),
    classes=dict(one_logit=2, two=2, subset=3, shifted=19, more=300),
    style=("names", "classes"),
    wrapped=(False, True),
    pipeline=dict(
        plain=[],
        ratio=[dict(type="Resize", scale=(70, 70), keep_ratio=True)],
        stretched=[dict(type="Resize", scale=(40, 64))],
        padded=[PAD],
        both=[dict(type="Resize", scale=(70, 60), keep_ratio=True), PAD],
        flipped=[dict(type="RandomFlip", prob=1.0, direction="vertical")],
    ),
    mode=("whole", "slide"),
    preprocessor=("none", "padding"),
)


@TRANSFORMS.register_module()
class LoadNegativeOfATest(BaseTransform):
    """A loader of one's own."""

    def transform(self, results: dict) -> dict:
        pixels = 255 - np.asarray(Image.open(results["img_path"]).convert("RGB"), np.float32)
        shape = pixels.shape[:2]
        return dict(results, img=pixels, img_shape=shape, ori_shape=shape)


#: Where a config that names types as classes imports them from.
MODULES = {
    "mmcv.transforms": "LoadImageFromFile Pad TestTimeAug",
    "mmengine.dataset": "ConcatDataset DefaultSampler",
    "mmengine.runner": "TestLoop",
    "mmseg.datasets": "BaseSegDataset CityscapesDataset",
    "mmseg.datasets.transforms": "LoadAnnotations PackSegInputs RandomFlip Resize",
    "mmseg.evaluation": "IoUMetric",
    "mmseg.models": "FPNHead ResNetV1c SegDataPreProcessor SegTTAModel",
    "mmseg.models.necks": "FPN",
    "mmseg_pointrend.models": "PointRend PointRendHead",
    "tests.apis.test_same_labels": "LoadNegativeOfATest",
}


def pairs_of_choices() -> list[dict]:
    """Choose cases that hold every two values of different axes together, few of them."""
    names = list(AXES)
    missing = {
        frozenset([(a, x), (b, y)])
        for a, b in itertools.combinations(names, 2)
        for x, y in itertools.product(AXES[a], AXES[b])
    }
    rng, cases = np.random.default_rng(0), []
    while missing:
        tries = []
        for _ in range(60):
            case = tuple((name, list(AXES[name])[rng.integers(len(AXES[name]))]) for name in names)
            held = {frozenset(pair) for pair in itertools.combinations(case, 2)} & missing
            tries.append((len(held), len(tries), case, held))
        _, _, case, held = max(tries, key=lambda one: one[:2])
        missing -= held
        cases.append(dict(case))
    return cases


def pixels_of(loader: str) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    noise = np.array(Image.fromarray(noise).resize((51, 37)))
    if loader == "deep":  # 12 bits in 16
        return noise[..., 0].astype(np.uint16) * 16
    return noise[..., 0] if loader == "grey" else noise


def model_of(case: dict) -> dict:
    """A small model for the case's channels and classes."""
    channels = 1 if case["loader"] in ("grey", "deep") else 3
    scale = 16.0 if case["loader"] == "deep" else 1.0
    head = dict(num_classes=AXES["classes"][case["classes"]])
    if case["classes"] == "one_logit":
        head |= dict(out_channels=1, threshold=0.5)
    model = model_config(**head)
    model.backbone.in_channels = channels
    model.data_preprocessor = dict(
        type="SegDataPreProcessor", mean=[127 * scale] * channels, std=[60 * scale] * channels,
        bgr_to_rgb=channels == 3, size=(64, 64),
        test_cfg=dict(size_divisor=32) if case["preprocessor"] == "padding" else None,
    )  # fmt: skip
    if case["mode"] == "slide":
        model.test_cfg = dict(mode="slide", crop_size=(32, 48), stride=(20, 30))
    return model


def data_of(case: dict, folder: Path, pipeline: list) -> dict:
    """The test data: one picture, or the same twice in a wrapper."""
    classes = [f"class {index}" for index in range(AXES["classes"][case["classes"]])]
    leaf = dict(
        type="BaseSegDataset", data_root=str(folder), img_suffix=".png", seg_map_suffix=".png",
        data_prefix=dict(img_path="images", seg_map_path="labels"), pipeline=pipeline,
        metainfo=dict(classes=classes), reduce_zero_label=case["classes"] == "shifted",
        serialize_data=False,
    )  # fmt: skip
    if case["classes"] == "subset":
        leaf |= dict(type="CityscapesDataset", metainfo=dict(classes=["sky", "car", "road"]))
    return dict(type="ConcatDataset", datasets=[leaf, leaf]) if case["wrapped"] else leaf


def write_config(case: dict, folder: Path) -> Path:
    """Write the picture, its label map, and a config in the case's style."""
    for name, pixels in (
        ("images", pixels_of(case["loader"])),
        ("labels", np.random.default_rng(1).integers(0, 2, (37, 51)).astype(np.uint8)),
    ):
        (folder / name).mkdir()
        Image.fromarray(pixels).save(folder / name / "picture.png")
    load, steps = AXES["loader"][case["loader"]], AXES["pipeline"][case["pipeline"]]
    labels, pack = dict(type="LoadAnnotations"), dict(type="PackSegInputs")
    pipeline = [load, *steps, labels, pack]
    view = dict(type="TestTimeAug", transforms=[*([step] for step in steps), [labels], [pack]])
    config = Config(
        dict(
            default_scope=None if case["style"] == "classes" else "mmseg",
            model=model_of(case),
            test_pipeline=pipeline,
            tta_pipeline=[LOAD, view],
            tta_model=dict(type="SegTTAModel"),
            test_dataloader=dict(
                batch_size=1, num_workers=0, sampler=dict(type="DefaultSampler", shuffle=False),
                dataset=data_of(case, folder, pipeline),
            ),
            test_evaluator=dict(type="IoUMetric", iou_metrics=["mIoU"]),
            test_cfg=dict(type="TestLoop"),
            visualizer=dict(type="SegLocalVisualizer", name="visualizer"),
            work_dir=str(folder / "work"),
        )
    )  # fmt: skip
    text = config.pretty_text
    if case["style"] == "classes":
        for module, names in MODULES.items():
            for name in names.split():
                text = text.replace(f"type='{name}'", f"type={name}")
            text = f"from {module} import {', '.join(names.split())}\n{text}"
    path = folder / "config.py"
    path.write_text(text)
    return path


@torch.no_grad()
def write_weights(path: Path, folder: Path) -> Path:
    """Write random weights by which no class wins everywhere."""
    config = load_config(path)
    torch.manual_seed(0)
    model = MODELS.build(config.model).eval()
    coarse = model.decode_head.coarse_head
    nn.init.normal_(coarse.conv_seg.weight)
    noise = torch.randn(1, config.model.backbone.in_channels, 6, 6)
    noise = nn.functional.interpolate(noise, scale_factor=11, mode="bilinear")
    logits = model.decode_head.coarse_prediction(model.extract_feat(noise))
    coarse.conv_seg.bias -= logits.mean((0, 2, 3))
    let_coarse_logits_through(model.decode_head.point_head, model.out_channels)
    meta = dict(dataset_meta=dict(classes=("a", "b"), palette=[[0, 0, 0], [9, 9, 9]]))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / "weights.pth")
    return folder / "weights.pth"


def written_by_test(path: Path, weights: Path, out: Path, tta: bool) -> np.ndarray:
    """Test, and read the label map that was written."""
    forget_runs()
    run_test(path, weights, out=out, tta=tta)
    (written,) = out.rglob("*.png")
    return np.array(Image.open(written))


def upstream(case: dict, path: Path, weights: Path, image: Path) -> Iterator[np.ndarray]:
    """Predict by mmsegmentation's functions, as far as they take such configs."""
    if case["style"] == "classes":
        return
    model = init_model(str(path), str(weights), device="cpu")
    yield inference_model(model, str(image)).pred_sem_seg.data[0].numpy()
    if case["wrapped"] or case["loader"] == "custom":
        return
    forget_runs()
    inferencer = MMSegInferencer(str(path), str(weights), device="cpu")
    found = inferencer(str(image), return_datasamples=True)
    yield found.pred_sem_seg.data[0].numpy()


def explained(case: dict) -> bool:
    """Whether mmcv's transforms leave enough in a sample to undo the pipeline."""
    padded = case["pipeline"] in ("padded", "both")
    return not padded or (
        case["loader"] not in ("grey", "deep") and case["preprocessor"] != "padding"
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what mmengine only writes into logs, of compilers and drivers."""
    monkeypatch.setattr("mmengine.runner.runner.collect_env", dict)


CASES = {"-".join(map(str, case.values())): case for case in pairs_of_choices()}


@pytest.mark.parametrize("name", CASES)
def test_the_same_labels(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    path = write_config(case, tmp_path)
    weights = write_weights(path, tmp_path)
    image = tmp_path / "images/picture.png"
    expected = predict(path, weights, image, tmp_path / "predicted.png", device="cpu")
    assert expected.shape == (37, 51) and len(np.unique(expected)) > 1
    assert np.array_equal(np.array(Image.open(tmp_path / "predicted.png")), expected)
    for tta in (False, True):
        found = written_by_test(path, weights, tmp_path / f"tested {tta}", tta)
        assert np.array_equal(found, expected), f"tta={tta}"
    if explained(case):
        for found in upstream(case, path, weights, image):
            assert np.array_equal(found, expected)
    elif case["style"] == "names":
        with pytest.raises(ValueError, match="pixels of a picture of 51 x 37"):
            list(upstream(case, path, weights, image))
    if case["mode"] == "slide" and case["pipeline"] == "plain" and case["preprocessor"] == "none":
        sliding = dict(window=(32, 48), stride=(20, 30))
        found = predict(path, weights, image, tmp_path / "windows.png", device="cpu", **sliding)
        assert np.array_equal(found, expected)
