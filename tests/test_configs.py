"""Every config: it loads, builds, trains for a step and predicts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_pointrend.apis.configs import load_config, prepare_config
from mmseg_pointrend.core import resolve_bias

ROOT = Path(__file__).parents[1] / "configs"
# Files named my_* are a user's own.
CONFIGS = sorted(
    path
    for path in ROOT.rglob("*.py")
    if "_base_" not in path.parts and not path.name.startswith("my_")
)
NAMES = [str(path.relative_to(ROOT)) for path in CONFIGS]

EXPECTED = {
    f"{folder}/{name}_{backbone}_{rest}.py"
    for folder, name in (("pointrend", "pointrend"), ("sem_fpn", "fpn"))
    for backbone in ("r50", "r101")
    for rest in ("4xb2-80k_cityscapes-512x1024", "4xb4-160k_ade20k-512x512")
} | {
    "pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py",
    "sem_fpn/fpn_r18-small_1xb4-1k_demo-scenes-128x256.py",
    "pointrend/pointrend_r50_my-dataset-512x1024.py",
}


def test_the_configs_are_these() -> None:
    assert set(NAMES) == EXPECTED
    assert len(NAMES) == 11


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=NAMES)
def test_config_trains_and_predicts(path: Path) -> None:
    config = prepare_config(
        path, options={"model.pretrained": None, "model.data_preprocessor.size": (64, 96)}
    )
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    classes = model.num_classes
    rng = np.random.default_rng(0)

    def batch() -> dict:
        images = torch.from_numpy(rng.integers(0, 256, (2, 3, 64, 96), dtype=np.uint8))
        labels = torch.from_numpy(rng.integers(0, classes, (2, 1, 64, 96)))
        labels[:, :, :5] = 255
        meta = dict(img_shape=(64, 96), ori_shape=(70, 101))
        samples = [
            SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=dict(meta)) for label in labels
        ]
        return dict(inputs=list(images), data_samples=samples)

    model.train()
    data = model.data_preprocessor(batch(), training=True)
    loss, logs = model.parse_losses(model(**data, mode="loss"))
    loss.backward()
    assert loss.isfinite() and loss > 0
    assert all(parameter.grad is not None for parameter in model.decode_head.parameters())
    if "pointrend" in path.name:
        assert {"decode.coarse.loss_ce", "decode.point.loss_ce"} <= logs.keys()

    model.eval()
    with torch.no_grad():
        results = model.test_step(batch())
    assert len(results) == 2
    for result in results:
        predicted = result.pred_sem_seg.data
        assert predicted.shape == (1, 70, 101)
        assert 0 <= predicted.min() and predicted.max() < classes


@pytest.mark.parametrize("backbone", ["r50", "r101"])
@pytest.mark.parametrize("data", ["4xb2-80k_cityscapes-512x1024", "4xb4-160k_ade20k-512x512"])
def test_the_baseline_differs_by_pointrend_alone(backbone: str, data: str) -> None:
    """mmsegmentation's two differ in dropout and warm-up as well."""
    ours = load_config(ROOT / f"pointrend/pointrend_{backbone}_{data}.py").to_dict()
    baseline = load_config(ROOT / f"sem_fpn/fpn_{backbone}_{data}.py").to_dict()
    head, base_head = ours["model"].pop("decode_head"), baseline["model"].pop("decode_head")
    assert (ours["model"].pop("type"), baseline["model"].pop("type")) == (
        "PointRend", "EncoderDecoder",
    )  # fmt: skip
    assert ours == baseline
    coarse = head["coarse_head"] | dict(num_classes=head["num_classes"])
    # mmsegmentation writes these defaults of its head out.
    loss = dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0)
    assert coarse | dict(align_corners=False, loss_decode=loss) == base_head


@pytest.mark.parametrize(
    ("path", "classes", "points"),
    [
        ("pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py", 19, 2048),
        ("pointrend/pointrend_r101_4xb4-160k_ade20k-512x512.py", 150, 1024),
    ],
)
def test_the_papers_numbers(path: str, classes: int, points: int) -> None:
    head = load_config(ROOT / path).model.decode_head
    assert head.num_classes == classes
    assert head.training_points == dict(num_points=points)
    assert resolve_bias() == (3, 0.75)
    assert head.subdivision == dict(steps=2, num_points=8192, scale_factor=2)


def test_a_child_sets_the_number_of_classes_once(tmp_path: Path) -> None:
    child = tmp_path / "child.py"
    base = ROOT / "pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py"
    child.write_text(f"_base_ = '{base}'\nmodel = dict(decode_head=dict(num_classes=5))\n")
    model = MODELS.build(prepare_config(child, options={"model.pretrained": None}).model)
    head = model.decode_head
    assert head.coarse_head.conv_seg.out_channels == 5
    assert head.point_head.fc_seg.out_channels == 5
    assert model.num_classes == 5
