"""Instance masks on a GPU, the make-believe one: training, prediction, and pictures without any."""

from collections.abc import Iterator

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.structures import instance_data
from torch import Tensor

from mmseg_pointrend.inference.instances import objects_of
from tests.accelerator.pretend_gpu import DEVICE, GPUTensor
from tests.instance.conftest import same_scope  # noqa: F401
from tests.instance.heads import batch_of, build_detector
from tests.shallow import shallow_resnets

pytestmark = pytest.mark.usefixtures("gpu", "mmdet_scope")

HEADS = ["PointRendStandardRoIHead", "PointRendCascadeRoIHead"]


@pytest.fixture
def mmdet_scope(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have mmdet's names, and mmengine take an index that is a `GPUTensor`."""
    known = instance_data.IndexType
    monkeypatch.setattr(instance_data, "IndexType", known | GPUTensor)
    with DefaultScope.overwrite_default_scope("mmdet"), shallow_resnets(1):
        yield


@pytest.mark.parametrize("roi_head", HEADS)
@pytest.mark.parametrize("counts", [(0, 2), (0,)], ids=str)
def test_training(roi_head: str, counts: tuple) -> None:
    outcomes = []
    for device in ("cpu", "cuda:0"):
        torch.manual_seed(0)
        model = build_detector(roi_head).to(device).train()
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
        logged = model.train_step(batch_of(*counts), wrapper)
        found = {**logged, **model.state_dict()}
        assert all(values.device == torch.device(device) for values in found.values())
        outcomes.append({name: values.detach().cpu() for name, values in found.items()})
    torch.testing.assert_close(outcomes[1], outcomes[0], rtol=1e-4, atol=1e-5)


def predictions(device: str, *counts: int, roi_head: str, **settings: object) -> list[dict]:
    model = build_detector(roi_head, predict_coarse=True, **settings).to(device).eval()
    score = 2.0 if not counts else 0.0
    model.roi_head.test_cfg.score_thr = score
    found = []
    with torch.no_grad():
        for sample in model.test_step(batch_of(*counts or (1,))):
            objects = sample.pred_instances
            assert all(values.device == torch.device(device) for values in objects.values())
            found.append({name: objects[name].cpu() for name in objects.keys()})
            objects_of(sample, 0.0)
    return found


@pytest.mark.parametrize("roi_head", HEADS)
@pytest.mark.parametrize(
    ("counts", "settings"),
    [
        ((1, 0), dict(no_finer_than_picture=True)),
        ((1,), dict(subdivision=dict(steps=3, num_points=50, max_margin=0.3), class_agnostic=True)),
        ((), {}),
    ],
    ids=["as fine as the pictures", "one mask for all", "no objects"],
)
def test_prediction(roi_head: str, counts: tuple, settings: dict) -> None:
    expected, found = (
        predictions(device, *counts, roi_head=roi_head, **settings) for device in ("cpu", "cuda:0")
    )
    for one, other in zip(found, expected, strict=True):
        assert len(one["masks"]) == (8 if counts else 0)
        for name in ("bboxes", "scores", "labels"):
            torch.testing.assert_close(one[name], other[name], rtol=1e-5, atol=1e-4)
        for name in ("masks", "coarse_masks"):
            assert one[name].shape == other[name].shape
            # Other chunks, other maps in memory: what lies on the threshold may fall otherwise.
            assert _share(one[name] != other[name]) < 1e-3


def _share(flags: Tensor) -> float:
    return flags.float().mean().item() if flags.numel() else 0.0


@pytest.mark.parametrize("roi_head", HEADS)
def test_mixed_precision(roi_head: str, dtype: torch.dtype = torch.float16) -> None:
    model = build_detector(roi_head).to("cuda:0")
    with torch.autocast("cuda", dtype), torch.no_grad():
        (sample,) = model.eval().test_step(batch_of(1))
    assert sample.pred_instances.masks.device == DEVICE
    data = model.train().data_preprocessor(batch_of(2, 1), training=True)
    with torch.autocast("cuda", dtype):
        losses = model.loss(data["inputs"], data["data_samples"])
    total = model.parse_losses(losses)[0]
    total.backward()
    assert bool(total.isfinite())
