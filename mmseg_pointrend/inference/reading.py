"""Pictures, read and prepared as a config's test pipeline says, and by nothing else."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from mmcv.transforms import LoadAnnotations
from mmengine.config import Config
from mmseg.registry import TRANSFORMS
from torch import nn

from mmseg_pointrend.datasets.traced_pipeline import TracedPipeline, check_undone_by_mmseg
from mmseg_pointrend.datasets.wrappers import innermost_datasets
from mmseg_pointrend.inference.images import check_image
from mmseg_pointrend.inference.memory import TOO_LARGE, lacks_memory
from mmseg_pointrend.inference.pixels import Source, load_pixels

#: How the pipeline is called in errors.
_NAME = "the test pipeline"


class PipelineError(ValueError):
    """No picture can be read by a pipeline."""


def test_pipeline(config: Config) -> list[dict]:
    """Find the steps of a config's test pipeline that do not read labels.

    Args:
        config: as `prepare_config` gives it; its test data may lie in wrappers (`ConcatDataset`).

    Returns:
        configs of the steps; their types are names or classes.

    Raises:
        ValueError: for a config without a test pipeline, or with several that differ.
    """
    loader = config.get("test_dataloader") or {}
    found = [leaf.get("pipeline") for leaf in innermost_datasets(loader.get("dataset") or {})]
    if not found or not found[0]:
        raise ValueError("the config has no test_dataloader.dataset.pipeline to read images by")
    if any(pipeline != found[0] for pipeline in found):
        raise ValueError(
            f"the {len(found)} data sets of test_dataloader have different pipelines: leave one, "
            "to say how an image is read"
        )
    return [step for step in found[0] if not _reads_labels(step)]


# pytest collects functions of this name from modules that import it.
test_pipeline.__test__ = False


def step_name(step: dict) -> str:
    """Name a step's type without its scope or module; it may be the class itself."""
    found = step["type"]
    return found.__name__ if isinstance(found, type) else str(found).rpartition(".")[2]


class Read(NamedTuple):
    """A picture that was read.

    Attributes:
        item: what the pipeline gives: `inputs` and `data_samples`; None for windows.
        pixels: as loaded, (H, W) or (H, W, C); None where nobody asks for them.
    """

    item: dict | None
    pixels: np.ndarray | None


class Reader:
    """Reads pictures by a test pipeline.

    Args:
        pipeline: see `test_pipeline`.
        whole: follow all steps; else load only, for windows.
        keep_pixels: keep what was loaded, in any case.

    Raises:
        ValueError: for a step that no prediction can undo.
    """

    def __init__(self, pipeline: list[dict], whole: bool = True, keep_pixels: bool = False) -> None:
        self.first = step_name(pipeline[0])
        self._loader = TRANSFORMS.build(dict(pipeline[0]))
        others = [dict(step) for step in pipeline[1:]]
        self._steps = TracedPipeline(others, _NAME) if whole else None
        self._keep_pixels = keep_pixels

    def read(self, source: Source) -> Read:
        """Read a picture.

        Args:
            source: its path, or its pixels (`pixels.load_pixels`).

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: see `load`.
            PipelineError: see `load`; or if no prediction can undo what a step does.
        """
        results = self.load(source)
        pixels = results["img"]
        if self._steps is None:
            return Read(None, pixels)
        # A copy: a step may write into it.
        pixels = pixels.copy() if self._keep_pixels else None
        try:
            return Read(self._steps(results), pixels)
        except ValueError as error:
            if str(error).startswith(f"{_NAME}:"):
                raise PipelineError(str(error)) from error
            raise

    def load(self, source: Source) -> dict:
        """Load a picture by the first step.

        Args:
            source: see `read`.

        Returns:
            what the step gives; the pixels are `img`, (H, W) or (H, W, C).

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is not an image or is damaged, or for pixels that do not fit.
            TypeError: for pixels of another type than the pipeline reads.
            PipelineError: for a pipeline that begins with something else.
        """
        # What mmsegmentation's and mmdet's data sets say of a picture, whose steps may ask for it.
        record = dict(reduce_zero_label=False, label_map=None, seg_fields=[], img_id=0)
        if not isinstance(source, str | os.PathLike):
            return record | load_pixels(self._loader, source)
        return self._load_file(os.fspath(source), record)

    def _load_file(self, path: str, record: dict) -> dict:
        check_image(path)
        unread = f"image {path} is damaged, or of a format that {self.first} does not read"
        try:
            results = self._loader(record | dict(img_path=path))
        except KeyError as error:
            raise self._no_loader() from error
        except Exception as error:  # whatever the file makes the decoder raise
            if lacks_memory(error):
                raise ValueError(f"image {path} {TOO_LARGE}") from error
            reason = " ".join(str(error).split())
            raise ValueError(f"{unread} ({reason})" if reason else unread) from error
        if results is None:
            raise ValueError(unread)
        if not isinstance(results.get("img"), np.ndarray):
            raise self._no_loader()
        return results

    def _no_loader(self) -> PipelineError:
        return PipelineError(
            "the test pipeline must begin with LoadImageFromFile or another step that loads the "
            f"image, got {self.first}"
        )


def load_image(pipeline: list[dict], path: Source) -> dict:
    """Load one picture by the first step of a pipeline, see `Reader.load`."""
    return Reader(pipeline, whole=False).load(path)


def apply_test_pipeline(pipeline: list[dict], path: Source) -> dict:
    """Send one picture through a test pipeline: `inputs` and `data_samples`, see `Reader.read`."""
    return Reader(pipeline).read(path).item


def check_undone(model: nn.Module, items: Sequence[dict]) -> None:
    """Raise PipelineError if a model does not bring its predictions back to the pictures.

    Args:
        model: any segmentor.
        items: what the pipeline gave for each picture.
    """
    if getattr(model, "follows_undo", False):
        return
    try:
        check_undone_by_mmseg([item["data_samples"] for item in items], _NAME)
    except ValueError as error:
        raise PipelineError(str(error)) from error


def _reads_labels(step: dict) -> bool:
    found = step["type"]
    found = TRANSFORMS.get(found) if isinstance(found, str) else found
    return isinstance(found, type) and issubclass(found, LoadAnnotations)
