"""The whole segmentor: prediction in every mode, padding, flips, test-time augmentation."""

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_pointrend.core import logit_margin
from mmseg_pointrend.models.restoring import restore
from mmseg_pointrend.models.segmentor import logits_at_original
from tests.models.builders import model_config

BINARY = dict(num_classes=2, out_channels=1)
AT_FINE = dict(
    coarse_head=dict(type="FCNHead", in_channels=8, in_index=2, channels=8, num_convs=1),
    coarse_at_fine=True,
    point_head=dict(in_channels=8, channels=12, num_fcs=1, act_cfg=dict(type="ELU")),
    subdivision=dict(steps=4, num_points=64),
)

PICTURE = dict(picture=dict(kernel_size=3))


def build(
    test_cfg: dict | None = None, predict_logits: bool = False, **head: object
) -> torch.nn.Module:
    torch.manual_seed(0)
    config = model_config(**head)
    config.predict_logits = predict_logits
    config.test_cfg = ConfigDict(test_cfg or dict(mode="whole"))
    model = MODELS.build(config)
    for parameter in model.decode_head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def sample(**meta: object) -> SegDataSample:
    return SegDataSample(metainfo=meta)


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 96), (33, 47), (130, 67)], ids=str)
@pytest.mark.parametrize(
    "head",
    [{}, BINARY, AT_FINE, PICTURE, PICTURE | AT_FINE],
    ids=["multi-class", "binary", "coarse-at-fine", "picture", "picture-coarse-at-fine"],
)
def test_labels_alone_equal_those_of_the_logits(size, head) -> None:
    """With padding, a flip and a resize to the picture, which differ between the images."""
    model = build(**head)
    images = torch.randn(2, 3, *size)
    metas = [
        dict(img_shape=size, ori_shape=(77, 51)),
        dict(
            img_shape=size, img_padding_size=(0, 5, 0, 3), flip=True, flip_direction="vertical",
            ori_shape=(size[0] - 3, size[1] - 5),
        ),
    ]  # fmt: skip
    labels, logits = [], []
    for model.predict_logits in (False, True):
        for result in model(images, [sample(**meta) for meta in metas], mode="predict"):
            labels.append(result.pred_sem_seg.data)
            assert labels[-1].dtype == torch.int64
            assert ("seg_logits" in result) == model.predict_logits
            if model.predict_logits:
                logits.append(result.seg_logits.data)
    assert labels[0].shape == (1, 77, 51)
    assert labels[1].shape == (1, size[0] - 3, size[1] - 5)
    assert [len(values) for values in logits] == [model.out_channels] * 2
    for lazy, dense, values in zip(labels[:2], labels[2:], logits, strict=True):
        assert logit_margin(values[None])[lazy != dense].le(1e-4).all()


@torch.no_grad()
def test_tensor_mode_renders() -> None:
    model = build(predict_logits=True)
    images = torch.randn(1, 3, 64, 96)
    assert model(images).shape == (1, 4, 64, 96)
    predicted = model(images, mode="predict")[0]
    torch.testing.assert_close(predicted.seg_logits.data, model(images)[0])


@torch.no_grad()
@pytest.mark.parametrize("head", [{}, BINARY, PICTURE], ids=["multi-class", "binary", "picture"])
def test_slide_inference_averages_the_windows(head) -> None:
    model = build(dict(mode="slide", crop_size=(64, 64), stride=(40, 40)), **head)
    images = torch.randn(2, 3, 70, 101)
    meta = dict(img_shape=(70, 101), ori_shape=(70, 101))
    samples = [sample(**meta), sample(**meta)]
    found = logits_at_original(model, images, samples)
    logits = torch.stack([prediction.refined for prediction in found])
    total, count = torch.zeros(2, model.out_channels, 70, 101), torch.zeros(1, 1, 70, 101)
    for top in (0, 6):
        for left in (0, 37):
            window = (..., slice(top, top + 64), slice(left, left + 64))
            total[window] += model(images[window])
            count[window] += 1
    torch.testing.assert_close(logits, total / count, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(
    "head", [{}, BINARY, PICTURE | BINARY], ids=["multi-class", "binary", "picture"]
)
@pytest.mark.parametrize("flip", [None, "horizontal", "vertical"])
def test_slide_labels_are_those_of_mmsegmentations_averaged_logits(head, flip, monkeypatch) -> None:
    """A band of rows gives the labels of the logits of the whole picture, padding and all."""
    model = build(dict(mode="slide", crop_size=(64, 48), stride=(40, 31)), **head)
    images = torch.randn(2, 3, 149, 101)
    meta = dict(
        img_shape=(149, 101), ori_shape=(140, 96), padding_size=(0, 5, 0, 9),
        flip=flip is not None, flip_direction=flip,
    )  # fmt: skip
    samples = [sample(**meta), sample(**meta)]
    logits = model.slide_inference(images, [dict(meta), dict(meta)])
    if head:
        model.decode_head.threshold = logits.sigmoid().median().item()
    expected = model.postprocess_result(logits, [sample(**meta), sample(**meta)])
    monkeypatch.setattr(model, "slide_inference", None)  # must not be called
    results = model(images, samples, mode="predict")
    for result, wanted in zip(results, expected, strict=True):
        assert "seg_logits" not in result
        assert len(wanted.pred_sem_seg.data.unique()) > 1
        assert result.pred_sem_seg.data.shape == (1, 140, 96)
        assert torch.equal(result.pred_sem_seg.data, wanted.pred_sem_seg.data)


@torch.no_grad()
def test_slide_inference_resizes_logits_where_it_must() -> None:
    """To another size than the network's, logits are resized and not labels."""
    model = build(dict(mode="slide", crop_size=(64, 64), stride=(40, 40)))
    images = torch.randn(1, 3, 70, 101)
    meta = dict(img_shape=(70, 101), ori_shape=(93, 130))
    result = model(images, [sample(**meta)], mode="predict")[0]
    logits = model.slide_inference(images, [dict(meta)])
    logits = torch.nn.functional.interpolate(logits, size=(93, 130), mode="bilinear")
    assert torch.equal(result.pred_sem_seg.data, logits.argmax(1))


@torch.no_grad()
def test_slide_over_an_image_smaller_than_the_window() -> None:
    model = build(dict(mode="slide", crop_size=(128, 128), stride=(64, 64)))
    result = model(torch.randn(1, 3, 50, 70), [sample(img_shape=(50, 70), ori_shape=(50, 70))],
                   mode="predict")[0]  # fmt: skip
    assert result.pred_sem_seg.data.shape == (1, 50, 70)
    without_samples = model(torch.randn(1, 3, 50, 70), mode="predict")[0]
    assert without_samples.pred_sem_seg.data.shape == (1, 50, 70)


@torch.no_grad()
def test_binary_keeps_logits_for_augmentation() -> None:
    """mmsegmentation's TTA applies the sigmoid itself; it must happen once."""
    model = build(predict_logits=True, **BINARY)
    images = torch.randn(1, 3, 64, 64)
    meta = dict(img_shape=(64, 64), ori_shape=(64, 64), img_path="a.png")
    augmented = MODELS.build(dict(type="SegTTAModel", module=model))
    views = [images, images.flip(3)]
    probability = torch.stack(
        [model(view, mode="predict")[0].seg_logits.data.sigmoid() for view in views]
    )
    probability[1] = probability[1].flip(2)
    model.decode_head.threshold = probability.mean(0).median().item()
    merged = augmented.test_step(
        dict(
            inputs=[[(view.flip(1) * 60 + 127)[0]] for view in views],  # back to raw BGR
            data_samples=[
                [sample(**meta, flip=flip, flip_direction="horizontal")] for flip in (False, True)
            ],
        )
    )[0]
    expected = probability.mean(0) > model.decode_head.threshold
    assert 0 < expected.sum() < expected.numel()
    # The preprocessor's rounding moves a few probabilities across the threshold.
    assert (merged.pred_sem_seg.data.bool() != expected).float().mean() < 0.01


@torch.no_grad()
@pytest.mark.parametrize("head", [{}, BINARY], ids=["multi-class", "binary"])
def test_mmsegmentations_encoder_decoder_can_use_the_head(head) -> None:
    ours = build(**head)
    config = model_config(**head)
    config.type = "EncoderDecoder"
    config.pop("predict_logits", None)
    theirs = MODELS.build(config).eval()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(1, 3, 64, 96)
    meta = dict(img_shape=(64, 96), ori_shape=(80, 99))
    predictions = [
        model(images, [sample(**meta)], mode="predict")[0].pred_sem_seg.data
        for model in (ours, theirs)
    ]
    assert torch.equal(predictions[0], predictions[1].long())


def test_training_step_through_the_preprocessor_with_padding() -> None:
    model = build().train()
    samples = []
    for height, width in ((50, 64), (64, 40)):
        item = SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 4, (1, height, width))))
        item.set_metainfo(dict(img_shape=(height, width)))
        samples.append(item)
    batch = model.data_preprocessor(
        dict(
            inputs=[
                torch.randint(0, 256, (3, *item.img_shape), dtype=torch.uint8) for item in samples
            ],
            data_samples=samples,
        ),
        training=True,
    )
    losses = model(**batch, mode="loss")
    assert set(losses) == {
        "decode.coarse.loss_ce", "decode.coarse.acc_seg", "decode.point.loss_ce",
        "decode.point.acc",
    }  # fmt: skip
    loss, _ = model.parse_losses(losses)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_restore_undoes_padding_flip_and_resize_in_that_order() -> None:
    original = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 2, 6, 9))).float()
    padded = torch.nn.functional.pad(original.flip(3), (0, 7, 0, 2))
    meta = dict(
        img_padding_size=(0, 7, 0, 2), flip=True, flip_direction="horizontal", ori_shape=(6, 9)
    )
    assert torch.equal(restore(padded, meta), original)
    assert restore(padded, dict(meta, ori_shape=(12, 18))).shape == (1, 2, 12, 18)
    vertical = dict(flip=True, flip_direction="vertical")
    assert torch.equal(restore(original, vertical), original.flip(2))
    diagonal = dict(flip=True, flip_direction="diagonal")
    assert torch.equal(restore(original, diagonal), original.flip(2, 3))
    with pytest.raises(ValueError, match="flip_direction must be .*, got 'upwards'"):
        restore(original, dict(flip=True, flip_direction="upwards"))


@torch.no_grad()
@pytest.mark.parametrize("steps", range(6))
def test_the_map_covers_the_picture_at_every_step_count(steps) -> None:
    """Padding, a flip, and a grid coarser, as fine, and finer than the input."""
    size = (64, 96)
    model = build(subdivision=dict(steps=steps, num_points=50))
    images = torch.randn(1, 3, *size)
    meta = dict(img_shape=size, img_padding_size=(0, 20, 0, 10), ori_shape=(54, 76))
    coarse = model.decode_head.coarse_prediction(model.extract_feat(images))
    expected = torch.nn.functional.interpolate(coarse, size, mode="bilinear").argmax(1)[:, :54, :76]
    # Where the coarse map is sure of itself, every step count gives its label, in its place.
    margins = torch.nn.functional.interpolate(coarse, size, mode="bilinear").softmax(1)
    sure = (margins.amax(1) > margins.amax(1).quantile(0.8))[:, :54, :76]
    for model.predict_logits in (False, True):
        found = model(images, [sample(**meta)], mode="predict")[0].pred_sem_seg.data
        assert found.shape == (1, 54, 76)
        assert (found == expected)[sure].float().mean() > 0.85


@torch.no_grad()
@pytest.mark.parametrize("scale", [0.5, 1.7, 2.0, 4.0])
def test_output_beyond_the_resolution_of_the_input(scale) -> None:
    model = build(subdivision=dict(steps=2, num_points=0.02))
    model.output_scale = scale
    steps = []
    model.decode_head.point_head.register_forward_hook(lambda *_: steps.append(1))
    images = torch.randn(1, 3, 64, 96)
    meta = dict(img_shape=(64, 96), ori_shape=(50, 75))
    results = []
    for model.predict_logits in (False, True):
        results += model(images, [sample(**meta)], mode="predict")
    assert results[0].pred_sem_seg.data.shape == (1, round(50 * scale), round(75 * scale))
    assert len(steps) == 2 * (2 + {0.5: 0, 1.7: 1, 2.0: 1, 4.0: 2}[scale])
    different = results[0].pred_sem_seg.data != results[1].pred_sem_seg.data
    assert logit_margin(results[1].seg_logits.data[None])[different].le(1e-4).all()


def test_the_output_scale_is_positive() -> None:
    config = model_config()
    with pytest.raises(ValueError, match="output_scale must be > 0, got 0"):
        MODELS.build(dict(config, output_scale=0))
