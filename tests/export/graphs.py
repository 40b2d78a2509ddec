"""Small graphs that several tests share."""

import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from mmseg_pointrend.export.labels import GraphSettings, LabelGraph
from mmseg_pointrend.export.tracing import example
from tests.models.builders import model_config


def small_graph(
    settings: GraphSettings | None = None, preprocessor: dict | None = None, **head: object
) -> LabelGraph:
    """A small segmentor with random weights by which no class wins everywhere."""
    torch.manual_seed(0)
    config = model_config(**head)
    config.data_preprocessor.update(preprocessor or {})
    return graph_of(config, settings)


def graph_of(config: ConfigDict, settings: GraphSettings | None = None) -> LabelGraph:
    with DefaultScope.overwrite_default_scope("mmseg"):
        model = MODELS.build(config).eval()
    for parameter in model.decode_head.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    graph = LabelGraph(model, settings or GraphSettings())
    with torch.no_grad():
        for last in (graph.head.coarse_head.conv_seg, graph.head.point_head.fc_seg):
            last.bias -= graph.logits(example(graph, (1, 96, 96))).mean((0, 2, 3))
    return graph
