"""Semantic segmentation on a GPU, the make-believe one: prediction in every mode, and training."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModule
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_pointrend.inference.network import NetworkSettings, prepare_network
from mmseg_pointrend.inference.predictor import Details, Windows, predict_batch, predict_sliding
from mmseg_pointrend.models import PointRend
from tests.accelerator.pretend_gpu import DEVICE, GPUTensor
from tests.models.builders import fpn_head, model_config

pytestmark = pytest.mark.usefixtures("gpu", "same_order")

#: What a picture was, and what the network is given.
ORIGINAL, SIZE = (45, 71), (32, 48)
BINARY = dict(num_classes=2, out_channels=1, threshold=0.5)
SLIDE = dict(mode="slide", crop_size=(32, 32), stride=(20, 16))


@MODELS.register_module()
class PyramidOfATest(BaseModule):
    """Feature maps of strides 4 to 32, one after the other: backbone and neck in little time."""

    def __init__(self) -> None:
        super().__init__()
        strides, channels = (4, 2, 2, 2), (3, 8, 8, 8)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(count, 8, 5, stride, 2), nn.BatchNorm2d(8), nn.ReLU())
            for count, stride in zip(channels, strides, strict=True)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Extract the maps, (N, 8, h, w) each."""
        maps = [images]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]


@pytest.fixture
def same_order(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a model on a CPU keep its maps in the order that they have on a GPU.

    Otherwise it reads points in another way, which rounds otherwise.
    """
    monkeypatch.setattr(PointRend, "extract_feat", EncoderDecoder.extract_feat)
    yield


def build(device: str, test_cfg: dict | None = None, **changes: object) -> nn.Module:
    """A small model on a device; what is given goes to the model or to its decode head."""
    torch.manual_seed(1)
    of_model = {name: changes.pop(name) for name in list(changes) if name in _OF_MODEL}
    config = ConfigDict(model_config(**changes), **of_model)
    config.backbone, config.neck = ConfigDict(type="PyramidOfATest"), None
    config.test_cfg = ConfigDict(test_cfg or dict(mode="whole"))
    model = MODELS.build(config)
    for name, parameter in model.decode_head.named_parameters():
        # Biases would make one class of all.
        nn.init.normal_(parameter, std=0.0 if name.endswith("bias") else 0.3)
    return model.to(device).eval()


_OF_MODEL = ("predict_logits", "predict_coarse", "output_scale")


def batch() -> dict:
    """Two pictures as a test pipeline leaves them, one of which it has mirrored."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (2, 3, *SIZE), generator=generator, dtype=torch.uint8)
    metas = [
        dict(ori_shape=ORIGINAL, img_shape=SIZE),
        dict(ori_shape=SIZE, img_shape=SIZE, flip=True, flip_direction="horizontal"),
    ]
    return dict(inputs=list(inputs), data_samples=[SegDataSample(metainfo=m) for m in metas])


def predictions(model: nn.Module) -> list[dict[str, Tensor]]:
    """Predict the batch: the fields of each result, all of which are on the model's device."""
    device = next(model.parameters()).device
    found = []
    with torch.no_grad():
        for sample in model.test_step(batch()):
            fields = {name: sample.get(name).data for name in sample.keys()}
            assert all(values.device == device for values in fields.values())
            found.append({name: values.cpu() for name, values in fields.items()})
    return found


CASES = {
    "whole": {},
    "two classes": dict(num_classes=2),
    "many classes": dict(num_classes=19),
    "one logit": BINARY,
    "slide": dict(test_cfg=SLIDE),
    "slide, one logit": dict(test_cfg=SLIDE, predict_coarse=True, **BINARY),
    "logits": dict(predict_logits=True),
    "logits in windows": dict(predict_logits=True, predict_coarse=True, test_cfg=SLIDE),
    "coarse": dict(predict_coarse=True),
    "finer": dict(output_scale=2.0),
    "no larger than the input": dict(output_scale=0.7, predict_logits=True),
    "no steps": dict(subdivision=dict(steps=0)),
    "by probability": dict(uncertainty="probability"),
    "few are uncertain": dict(subdivision=dict(steps=2, num_points="stride-16", max_margin=0.5)),
    "coarse at fine": dict(coarse_at_fine=True),
    "several fine maps": dict(
        point_head=dict(in_channels=[8, 8], in_index=[0, 1], channels=8, norm_cfg=dict(type="BN1d"))
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_prediction(case: dict) -> None:
    expected, found = (predictions(build(device, **case)) for device in ("cpu", "cuda:0"))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert any(len(one["pred_sem_seg"].unique()) > 1 for one in found)


@pytest.mark.parametrize("head", [{}, BINARY], ids=["several logits", "one logit"])
@pytest.mark.parametrize("mode", [None, SLIDE], ids=["whole", "slide"])
def test_augmented_prediction(mode: dict | None, head: dict) -> None:
    outcomes = []
    for device in ("cpu", "cuda:0"):
        module = build(device, mode, predict_coarse=True, **head)
        model = MODELS.build(dict(type="PointRendTTA", module=module, keep_probabilities=True))
        view = batch()
        mirrored = [pixels.flip(2) for pixels in view["inputs"]]
        views = dict(
            inputs=[view["inputs"], mirrored],
            data_samples=[
                [
                    SegDataSample(
                        metainfo=dict(ori_shape=ORIGINAL, flip=flip, flip_direction="horizontal")
                    )
                    for _ in mirrored
                ]
                for flip in (False, True)
            ],
        )
        outcomes.append(
            [[one.get(name).data for name in one.keys()] for one in model.test_step(views)]
        )
    expected, found = outcomes
    assert all(isinstance(values, GPUTensor) for one in found for values in one)
    found = [[values.cpu() for values in one] for one in found]
    # A GPU takes a softmax in one kernel.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_arrays_of_predictions() -> None:
    """What is written to files: labels and confidences of pictures, and of windows over them."""
    pixels = np.random.default_rng(0).integers(0, 256, (*ORIGINAL, 3)).astype(np.uint8)
    outcomes = []
    for device in ("cpu", "cuda:0"):
        model, data = build(device), batch()
        items = [
            dict(inputs=pixels, data_samples=sample)
            for pixels, sample in zip(data["inputs"], data["data_samples"], strict=True)
        ]
        maps = predict_batch(model, items, Details(confidence=True))
        for sure in (False, True):
            maps.append(predict_sliding(model, pixels, Windows((32, 32), (20, 25)), sure))
        outcomes.append([array for one in maps for array in one])
    for found, expected in zip(*outcomes, strict=True):
        assert (found is None and expected is None) or np.array_equal(found, expected)


# ---- training ------------------------------------------------------------------------------------


def labelled_batch(classes: int, ignored: float = 0.2) -> dict:
    """Pictures with labels, some of which are not known."""
    data = batch()
    generator = torch.Generator().manual_seed(2)
    for number, sample in enumerate(data["data_samples"]):
        labels = torch.randint(classes, (4, 6), generator=generator)
        labels = labels.repeat_interleave(8, 0).repeat_interleave(8, 1)
        labels[torch.rand(SIZE, generator=generator) < ignored * number] = 255
        sample.gt_sem_seg = PixelData(data=labels[None])
    return data


LOSSES = {
    "cross entropy": dict(type="CrossEntropyLoss"),
    "weighted": dict(type="CrossEntropyLoss", class_weight=[1.0, 2.0, 0.5, 1.5]),
    "dice": [dict(type="CrossEntropyLoss"), dict(type="DiceLoss")],
    "lovasz": dict(type="LovaszLoss", per_image=True, reduction="mean"),
    "tversky": dict(type="TverskyLoss"),
}


def train(model: nn.Module, data: Callable[[], dict], steps: int = 2) -> list[dict]:
    """Train some steps; what was logged, and in the end the weights."""
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    wrapper = OptimWrapper(optimizer, clip_grad=dict(max_norm=1.0))
    logged = [model.train().train_step(data(), wrapper) for _ in range(steps)]
    found = [*logged, model.state_dict()]
    device = next(model.parameters()).device
    assert all(values.device == device for one in found for values in one.values())
    return [{name: values.detach().cpu() for name, values in one.items()} for one in found]


def assert_same_training(data: Callable[[], dict], **head: object) -> list[dict]:
    """Up to rounding: a GPU is given fewer and larger products."""
    expected, found = (train(build(device, **head), data) for device in ("cpu", "cuda:0"))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    return found


@pytest.mark.parametrize("strategy", ["regular-grid", "uniform", "mildly-biased", "heavily-biased"])
@pytest.mark.parametrize("head", [dict(), dict(num_classes=2), BINARY], ids=["4", "2", "1"])
def test_training(strategy: str, head: dict) -> None:
    points = dict(num_points=20, strategy=strategy)
    classes = head.get("num_classes", 4)
    assert_same_training(lambda: labelled_batch(classes), training_points=points, **head)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
@pytest.mark.parametrize("ignored", [0.0, 0.4, 1.0])
def test_losses(loss: dict | list, ignored: float) -> None:
    """Of the coarse map and of the points; none, some and all pixels of a picture are ignored."""
    coarse = fpn_head(loss_decode=loss)
    assert_same_training(lambda: labelled_batch(4, ignored), coarse_head=coarse, loss_point=loss)


def test_a_batch_of_which_nothing_is_known() -> None:
    def data() -> dict:
        found = labelled_batch(4)
        for sample in found["data_samples"]:
            sample.gt_sem_seg.data.fill_(255)
        return found

    logged, *_ = assert_same_training(data)
    assert logged["loss"] == 0


# ---- mixed precision -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", ["whole", "one logit", "slide", "logits", "finer"])
def test_prediction_in_mixed_precision(case: str, dtype: torch.dtype) -> None:
    """CUDA's autocast, over the CPU's numbers: few labels change."""
    expected = predictions(build("cuda:0", **CASES[case]))
    with torch.autocast("cuda", dtype):
        found = predictions(build("cuda:0", **CASES[case]))
    for one, other in zip(found, expected, strict=True):
        same = one["pred_sem_seg"] == other["pred_sem_seg"]
        assert same.float().mean() > 0.95


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_training_in_mixed_precision(dtype: torch.dtype) -> None:
    model = build("cuda:0").train()
    data = model.data_preprocessor(labelled_batch(4), True)
    with torch.autocast("cuda", dtype):
        losses = model(**data, mode="loss")
    loss, logged = model.parse_losses(losses)
    loss.backward()
    assert loss.device == DEVICE and bool(loss.isfinite())
    assert all(bool(weights.grad.isfinite().all()) for weights in model.parameters())
    expected = build("cpu").train()
    _, exact = expected.parse_losses(
        expected(**expected.data_preprocessor(labelled_batch(4), True), mode="loss")
    )
    assert float(logged["loss"]) == pytest.approx(float(exact["loss"]), rel=0.1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_a_model_in_half_precision(dtype: torch.dtype) -> None:
    model = build("cuda:0")
    expected = predictions(model)
    model.to(dtype)
    images = torch.stack(batch()["inputs"]).to("cuda:0", dtype)
    images = (images - 127) / 60
    with torch.no_grad():
        found = model(images.flip(1), batch()["data_samples"], mode="predict")
    for one, other in zip(found, expected, strict=True):
        same = one.pred_sem_seg.data.cpu() == other["pred_sem_seg"]
        assert same.float().mean() > 0.95


@pytest.mark.parametrize(
    "settings",
    [NetworkSettings(amp=True, fold=True), NetworkSettings(half=True, fold=True)],
    ids=NetworkSettings.describe,
)
@pytest.mark.parametrize("case", ["whole", "one logit", "slide", "several fine maps"])
def test_a_network_that_is_prepared(case: str, settings: NetworkSettings) -> None:
    """As `tools/predict.py --amp --fold` does it: in float16, as this is no CPU."""
    expected = predictions(build("cuda:0", **CASES[case]))
    model = build("cuda:0", **CASES[case])
    prepare_network(model, settings)
    assert model.extract_feat(torch.ones(1, 3, *SIZE, device=DEVICE))[0].dtype == torch.float16
    for one, other in zip(predictions(model), expected, strict=True):
        assert (one["pred_sem_seg"] == other["pred_sem_seg"]).float().mean() > 0.95
