"""Test-time augmentation by running sums: the mean of all views, in the memory of one."""

import gc

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.nn import Parameter

from tests.memory import peak_bytes
from tests.models.builders import fpn_head, model_config

BINARY = dict(num_classes=2, out_channels=1)
ORIGINAL = (45, 71)
#: Scales as in Cityscapes' augmentation; odd sizes come of them.
SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
VIEWS = [(scale, flip) for scale in SCALES for flip in (None, "horizontal", "vertical")]
HEADS = pytest.mark.parametrize("head", [{}, BINARY], ids=["multi-class", "binary"])


def build(model_type: str = "PointRend", **head: object) -> nn.Module:
    """Build a model with weights large enough to disagree, and padding to 32 pixels in tests."""
    torch.manual_seed(0)
    config = model_config(**head)
    config.type = model_type
    if model_type == "EncoderDecoder":
        config.decode_head = ConfigDict(fpn_head(num_classes=4))
        if head:
            config.decode_head.update(head, threshold=0.5)
            config.decode_head.loss_decode = dict(type="CrossEntropyLoss", use_sigmoid=True)
    config.data_preprocessor.test_cfg = dict(size_divisor=32)
    model = MODELS.build(config)
    model.predict_logits = True  # for mmsegmentation's SegTTAModel; ours does not ask
    for parameter in model.decode_head.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


def batch_of(views: list, images: int = 1, original: tuple[int, int] = ORIGINAL) -> dict:
    """Make what `TestTimeAug` and `pseudo_collate` make of random pictures."""
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 256, (images, 3, *original), generator=generator)
    truth = [PixelData(data=picture[:1] % 4) for picture in pictures]
    data: dict = dict(inputs=[], data_samples=[])
    for scale, flip in views:
        size = tuple(int(side * scale + 0.5) for side in original)
        view = nn.functional.interpolate(pictures.float(), size=size, mode="bilinear")
        if flip is not None:
            view = view.flip(3 if flip == "horizontal" else 2)
        meta = dict(
            img_shape=size, ori_shape=original, flip=flip is not None, flip_direction=flip,
            scale_factor=(size[1] / original[1], size[0] / original[0]),
        )  # fmt: skip
        data["inputs"].append(list(view.to(torch.uint8)))
        data["data_samples"].append(
            [
                SegDataSample(metainfo=dict(meta, img_path=f"{index}.png"), gt_sem_seg=truth[index])
                for index in range(images)
            ]
        )
    return data


def probabilities_by_hand(model: nn.Module, data: dict, image: int) -> Tensor:
    """Average the probabilities of all views of one image, in float64: (K, H, W)."""
    found = []
    for inputs, samples in zip(data["inputs"], data["data_samples"], strict=True):
        height, width = inputs[image].shape[1:]
        picture = inputs[image][[2, 1, 0]].float()[None].sub(127).div(60)
        picture = nn.functional.pad(picture, (0, -width % 32, 0, -height % 32))
        size = tuple(picture.shape[2:])
        meta = dict(img_shape=size, pad_shape=size)
        logits = model.encode_decode(picture, [meta])[:, :, :height, :width]
        if samples[image].flip:
            logits = logits.flip(3 if samples[image].flip_direction == "horizontal" else 2)
        logits = nn.functional.interpolate(logits, size=ORIGINAL, mode="bilinear")[0].double()
        found.append(logits.sigmoid() if len(logits) == 1 else logits.softmax(0))
    return torch.stack(found).mean(0)


def set_median_threshold(model: nn.Module, data: dict) -> None:
    """With one channel, choose the threshold that makes half of the first image class 1."""
    if model.out_channels == 1:
        model.decode_head.threshold = probabilities_by_hand(model, data, 0).median().item()


def share_that_differs(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape == (1, *ORIGINAL)
    assert len(expected.unique()) > 1
    return (found != expected).float().mean().item()


@torch.no_grad()
@HEADS
@pytest.mark.parametrize("model_type", ["PointRend", "EncoderDecoder"])
def test_the_result_is_the_mean_of_all_views(model_type: str, head: dict) -> None:
    """Two images, eighteen views: six scales, not flipped, mirrored and upside down."""
    model = build(model_type, **head)
    data = batch_of(VIEWS, images=2)
    set_median_threshold(model, data)
    tta = MODELS.build(dict(type="PointRendTTA", module=model, keep_probabilities=True))
    results = tta.test_step(data)
    assert len(results) == 2
    for index, result in enumerate(results):
        expected = probabilities_by_hand(model, data, index)
        torch.testing.assert_close(
            result.seg_probabilities.data, expected.float(), atol=1e-5, rtol=0
        )
        if head:
            expected = (expected > model.decode_head.threshold).long()
        else:
            expected = expected.argmax(0, keepdim=True)
        assert share_that_differs(result.pred_sem_seg.data, expected) < 1e-3
        assert result.pred_sem_seg.data.dtype == torch.int64
        assert torch.equal(result.gt_sem_seg.data, data["data_samples"][0][index].gt_sem_seg.data)
        assert result.img_path == f"{index}.png"
        assert not result.flip  # the first view's


@torch.no_grad()
@pytest.mark.parametrize(
    ("model_type", "head"),
    [("PointRend", {}), ("PointRend", BINARY), ("EncoderDecoder", {})],
    ids=["multi-class", "binary", "baseline"],
)
def test_the_result_is_mmsegmentations(model_type: str, head: dict) -> None:
    """Its own segmentor with one channel is left out: there the sigmoid is taken twice."""
    model = build(model_type, **head)
    set_median_threshold(model, batch_of(VIEWS, images=2))
    expected, found = (
        MODELS.build(dict(type=kind, module=model)).test_step(batch_of(VIEWS, images=2))
        for kind in ("SegTTAModel", "PointRendTTA")
    )
    for theirs, ours in zip(expected, found, strict=True):
        theirs = theirs.pred_sem_seg.data.long()
        assert share_that_differs(ours.pred_sem_seg.data, theirs) < 1e-3
        assert "seg_probabilities" not in ours and "seg_logits" not in ours


@torch.no_grad()
def test_images_of_a_batch_may_have_different_original_sizes() -> None:
    model = build()
    data = batch_of([(1.0, None), (1.0, "horizontal")], images=2)
    for samples in data["data_samples"]:
        factor = (ORIGINAL[1] / 33, ORIGINAL[0] / 90)
        samples[1].set_metainfo(dict(ori_shape=(90, 33), scale_factor=factor))
    results = MODELS.build(dict(type="PointRendTTA", module=model)).test_step(data)
    assert results[0].pred_sem_seg.data.shape == (1, *ORIGINAL)
    assert results[1].pred_sem_seg.data.shape == (1, 90, 33)


@torch.no_grad()
def test_sliding_windows_can_be_augmented() -> None:
    model = build()
    model.test_cfg = ConfigDict(mode="slide", crop_size=(64, 64), stride=(48, 48))
    data = batch_of([(1.0, None), (1.5, "horizontal")])
    tta = MODELS.build(dict(type="PointRendTTA", module=model, keep_probabilities=True))
    views = [
        MODELS.build(dict(type="PointRendTTA", module=model, keep_probabilities=True)).test_step(
            {key: value[index : index + 1] for key, value in data.items()}
        )[0]
        for index in range(2)
    ]
    expected = torch.stack([view.seg_probabilities.data for view in views]).mean(0)
    torch.testing.assert_close(tta.test_step(data)[0].seg_probabilities.data, expected)


def large_tensors(at_least: int) -> int:
    """Count the memory blocks of tensors that hold as many bytes or more."""
    gc.collect()
    # Tensors of a compiler, which it may have left behind, have no memory.
    storages = [t.untyped_storage() for t in gc.get_objects() if type(t) in (Tensor, Parameter)]
    return len({s.data_ptr() for s in storages if s.nbytes() >= at_least})


def test_when_a_view_starts_only_the_sum_is_held() -> None:
    model = build()
    tta = MODELS.build(dict(type="PointRendTTA", module=model))
    before = large_tensors(4 * 45 * 71 * 4)
    held = []
    model.data_preprocessor.register_forward_pre_hook(
        lambda *_: held.append(large_tensors(4 * 45 * 71 * 4) - before)
    )
    tta.test_step(batch_of(VIEWS[::2]))
    assert held == [0, *[1] * 8]


@HEADS
def test_memory_does_not_grow_with_the_views(head: dict) -> None:
    module = build(**head)
    logits = 4 * ORIGINAL[0] * ORIGINAL[1] * module.out_channels

    def growth(kind: str) -> int:
        """Compare 18 views with 3 of the same kinds."""
        tta = MODELS.build(dict(type=kind, module=module))
        with torch.no_grad():
            few, many = (
                peak_bytes(lambda data=data: tta.test_step(data))
                for data in (batch_of(VIEWS[-3:]), batch_of(VIEWS[-3:] * 6))
            )
        return many - few

    assert growth("SegTTAModel") > 14 * logits  # the measurement sees what is kept
    assert abs(growth("PointRendTTA")) < 0.1 * logits
