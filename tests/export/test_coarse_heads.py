"""Networks with other coarse heads as ONNX files, for as many sizes of pictures as they allow."""

from pathlib import Path

import pytest
import torch
from mmseg.registry import MODELS

from mmseg_pointrend.apis.configs import prepare_config, shipped_config
from mmseg_pointrend.export.agreement import compare
from mmseg_pointrend.export.labels import GraphSettings, LabelGraph
from mmseg_pointrend.export.onnx_file import OnnxModel, write_onnx
from mmseg_pointrend.export.tracing import Sizes, example, trace
from tests.repository.test_configs import light

#: Config -> options that make it small, and what has to be fixed of the pictures.
MODELS_AND_SIZES = {
    "pointrend-segformer_mit-b0_8xb2-160k_ade20k-512x512": (
        {"model.backbone.num_layers": [1, 1, 1, 1], "model.decode_head.num_classes": 7},
        Sizes(batch=1),
    ),
    "pointrend-fcn_unet-s5-d16_4xb4-40k_chase-db1-128x128": ({}, Sizes(size=(64, 96))),
}


def small_graph(name: str) -> LabelGraph:
    """A shipped model, with random weights by which no class wins everywhere."""
    options, _ = MODELS_AND_SIZES[name]
    options = {"model.pretrained": None} | light(name) | options
    config = prepare_config(shipped_config(f"pointrend/{name}.py"), options=options)
    config.model.backbone.init_cfg = None
    torch.manual_seed(0)
    graph = LabelGraph(MODELS.build(config.model), GraphSettings())
    for parameter in graph.head.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    with torch.no_grad():
        for last in (graph.head.coarse_head.conv_seg, graph.head.point_head.fc_seg):
            last.bias -= graph.logits(example(graph, (1, 64, 96))).mean((0, 2, 3))
    return graph


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS_AND_SIZES)
def test_labels_are_those_of_torch(name: str, tmp_path: Path) -> None:
    graph, (_, sizes) = small_graph(name), MODELS_AND_SIZES[name]
    program = trace(graph, sizes)
    (path,) = write_onnx(program, tmp_path / "model.onnx", graph.output_names, {})
    exported = OnnxModel(path, threads=1)
    for seed, shape in enumerate(sizes.fit([(1, 64, 96), (2, 101, 75)])):
        pictures = example(graph, shape, seed)
        found = compare(graph, exported, pictures)
        assert found.unexplained == 0 and found.differing < 1e-3 * found.pixels, found.describe()
        with torch.no_grad():
            assert len(graph(pictures)[0].unique()) > 1
