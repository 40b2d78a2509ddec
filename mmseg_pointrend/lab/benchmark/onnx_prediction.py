"""A whole prediction by ONNX Runtime, as one of the things that a benchmark repeats."""

from pathlib import Path

from torch import Tensor, nn

from mmseg_pointrend.export.labels import GraphSettings, LabelGraph
from mmseg_pointrend.export.onnx_file import OnnxModel, write_onnx
from mmseg_pointrend.export.pictures import PictureFormat
from mmseg_pointrend.export.tracing import Sizes, trace
from mmseg_pointrend.lab.benchmark.inputs import Scenes
from mmseg_pointrend.lab.benchmark.settings import Settings
from mmseg_pointrend.lab.benchmark.stages import Stages


def write_for_benchmark(model: nn.Module, settings: Settings, path: Path) -> None:
    """Export a model for the size and number of pictures that are measured.

    Args:
        model: ours, as it is trained: not folded and in single precision.
        settings: complete ones.
        path: of the ONNX file.

    Raises:
        ImportError: without the packages of the extra `export`.
        ValueError: for a model that is not exported.
    """
    # What the other ways are given is normalised, too.
    pictures = PictureFormat(pixels="float32", normalized=True)
    graph = LabelGraph(model, GraphSettings(pictures))
    program = trace(graph, Sizes(settings.batch, settings.shape))
    write_onnx(program, path, graph.output_names, {})


class OnnxPrediction:
    """Predict the labels of a batch of scenes; all of it is one stage.

    Args:
        path: what `write_for_benchmark` wrote.
        scenes: what it is given.
        settings: complete ones.
        clock: is told of the stage.
    """

    def __init__(self, path: Path, scenes: Scenes, settings: Settings, clock: Stages) -> None:
        self.clock = clock
        self._model, self._scenes = OnnxModel(path, settings.threads or 0), scenes

    def prepare(self, turn: int) -> None:
        """Put a batch's images in place; not measured."""
        self._images = self._scenes.images(turn)

    def run(self) -> Tensor:
        """Predict the (N, H, W) labels of the batch that is in place."""
        with self.clock.stage("prediction"):
            (labels,) = self._model(self._images)
        return labels
