"""The module from pictures to labels gives what the model predicts of the same pictures."""

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_pointrend.export.labels import GraphSettings, LabelGraph
from mmseg_pointrend.export.pictures import PictureFormat
from mmseg_pointrend.export.tracing import example
from tests.export.graphs import small_graph
from tests.models.builders import model_config

SHAPES = [(1, 64, 96), (2, 45, 61), (1, 131, 34)]


def predicted(graph: LabelGraph, pictures: torch.Tensor, **head: object) -> torch.Tensor:
    """What the model of a graph predicts of pictures, red first, by its own preprocessor."""
    torch.manual_seed(0)
    config = model_config(**head)
    model = MODELS.build(config).eval()
    for name in ("backbone", "neck"):
        setattr(model, name, getattr(graph, name))
    model.decode_head = graph.head
    model.data_preprocessor.test_cfg = dict(size_divisor=graph.preparation.divisor)
    size = tuple(pictures.shape[2:])
    samples = [SegDataSample(metainfo=dict(img_shape=size, ori_shape=size)) for _ in pictures]
    with torch.no_grad():
        samples = model.test_step(dict(inputs=list(pictures.flip(1)), data_samples=samples))
    return torch.stack([sample.pred_sem_seg.data[0] for sample in samples])


@pytest.mark.parametrize("divisor", [1, 32])
@pytest.mark.parametrize("head", [dict(), dict(num_classes=2, out_channels=1, threshold=0.4)])
def test_labels_are_those_of_the_model(divisor: int, head: dict) -> None:
    graph = small_graph(preprocessor=dict(test_cfg=dict(size_divisor=divisor)), **head)
    for shape in SHAPES:
        pictures = example(graph, shape)
        with torch.no_grad():
            (labels,) = graph(pictures)
        assert labels.dtype == torch.uint8 and len(labels.unique()) > 1
        expected = predicted(graph, pictures, **head)[..., : shape[1], : shape[2]]
        assert torch.equal(labels.long(), expected)


@torch.no_grad()
def test_formats_of_pictures_give_the_same_labels() -> None:
    usual = small_graph()
    pictures = example(usual, (2, 40, 70))
    (expected,) = usual(pictures)

    model = nn.Module()
    model.backbone, model.neck, model.with_neck = usual.backbone, usual.neck, True
    model.decode_head = usual.head
    model.data_preprocessor = MODELS.build(model_config().data_preprocessor)

    def labels_of(pictures: torch.Tensor, **format: object) -> torch.Tensor:
        return LabelGraph(model, GraphSettings(PictureFormat(**format)))(pictures)[0]

    blue_first = labels_of(pictures.flip(1), order="bgr")
    floats = labels_of(pictures.float(), pixels="float32")
    mean, std = usual.preparation.mean, usual.preparation.std
    done = (pictures.float() - mean) / std
    outside = labels_of(done, pixels="float32", normalized=True)
    for found in (blue_first, floats, outside):
        assert torch.equal(found, expected)


@torch.no_grad()
def test_confidence_is_the_probability_of_the_label() -> None:
    graph = small_graph(GraphSettings(labels="int32", confidence=True))
    pictures = example(graph, (1, 50, 37))
    labels, confidence = graph(pictures)
    assert labels.dtype == torch.int32 and graph.output_names == ["labels", "confidence"]
    probability = graph.logits(pictures).softmax(1).gather(1, labels[:, None].long())[:, 0]
    assert torch.allclose(confidence, probability, atol=1e-6)


@torch.no_grad()
def test_a_model_without_pointrend() -> None:
    config = model_config()
    head = config.decode_head
    config.decode_head = dict(head.coarse_head, num_classes=4)
    config.type = "EncoderDecoder"
    torch.manual_seed(0)
    model = MODELS.build(config).eval()
    nn.init.normal_(model.decode_head.conv_seg.weight)
    graph = LabelGraph(model, GraphSettings())
    pictures = example(graph, (1, 50, 37))
    logits = model(model.data_preprocessor(dict(inputs=[pictures[0].flip(0)]))["inputs"])
    expected = nn.functional.interpolate(logits, size=(50, 37), mode="bilinear").argmax(1)
    assert len(expected.unique()) > 1
    assert torch.equal(graph(pictures)[0].long(), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PictureFormat(order="grb"), "order must be one of"),
        (lambda: PictureFormat(normalized=True), "float32, got uint8"),
        (lambda: GraphSettings(labels="int64"), "labels must be one of"),
        (lambda: GraphSettings(most_at_once=0), "most_at_once must be >= 1, got 0"),
        (lambda: small_graph(GraphSettings(labels="uint8"), num_classes=300), "300 classes"),
        (lambda: LabelGraph(nn.Linear(1, 1), GraphSettings()), "Linear has no backbone"),
        (lambda: small_graph(preprocessor=dict(test_cfg=dict(size=(64, 64)))), "to one size"),
    ],
)
def test_bad_settings_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_many_classes_have_labels_of_four_bytes() -> None:
    assert small_graph(num_classes=300).dtype == torch.int32
    assert np.iinfo(np.uint8).max + 1 == 256 and small_graph(num_classes=256).dtype == torch.uint8
