"""Image files, read and prepared as a config's test pipeline says, and by nothing else."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmcv.transforms import LoadAnnotations
from mmengine.config import Config
from mmseg.registry import TRANSFORMS
from torch import nn

from mmseg_pointrend.datasets.traced_pipeline import TracedPipeline, check_undone_by_mmseg
from mmseg_pointrend.datasets.wrappers import innermost_datasets
from mmseg_pointrend.inference.images import check_image
from mmseg_pointrend.inference.memory import TOO_LARGE, lacks_memory

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


def load_image(pipeline: list[dict], path: str | Path) -> dict:
    """Read an image file by the first step of a pipeline.

    Args:
        pipeline: see `test_pipeline`.
        path: the file.

    Returns:
        what the step gives; the pixels are `img`, (H, W) or (H, W, C).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not an image or is damaged.
        PipelineError: for a pipeline that begins with something else.
    """
    check_image(path)
    unread = f"image {path} is damaged, or of a format that {step_name(pipeline[0])} does not read"
    # What mmsegmentation's and mmdet's data sets say of a picture, whose steps may ask for it.
    record = dict(img_path=str(path), reduce_zero_label=False, label_map=None, seg_fields=[])
    record["img_id"] = 0
    step = TRANSFORMS.build(dict(pipeline[0]))
    try:
        results = step(record)
    except KeyError as error:
        raise _no_loader(pipeline) from error
    except Exception as error:  # whatever the file makes the decoder raise
        if lacks_memory(error):
            raise ValueError(f"image {path} {TOO_LARGE}") from error
        reason = " ".join(str(error).split())
        raise ValueError(f"{unread} ({reason})" if reason else unread) from error
    if results is None:
        raise ValueError(unread)
    if not isinstance(results.get("img"), np.ndarray):
        raise _no_loader(pipeline)
    return results


def apply_test_pipeline(pipeline: list[dict], path: str | Path) -> dict:
    """Send an image file through a test pipeline.

    Args:
        pipeline: see `test_pipeline`.
        path: the file.

    Returns:
        what the last step gives: `inputs` and `data_samples`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: see `load_image`, `other_steps` and `follow_steps`.
    """
    return follow_steps(other_steps(pipeline), load_image(pipeline, path))


def other_steps(pipeline: list[dict]) -> TracedPipeline:
    """Build all steps of a test pipeline but the first.

    Raises:
        ValueError: for a step that no prediction can undo.
    """
    return TracedPipeline([dict(step) for step in pipeline[1:]], _NAME)


def follow_steps(steps: TracedPipeline, results: dict) -> dict:
    """Send an image that is loaded through the other steps.

    Args:
        steps: see `other_steps`.
        results: what `load_image` gives.

    Returns:
        what the last step gives: `inputs` and `data_samples`.

    Raises:
        PipelineError: if no prediction can undo what a step does.
    """
    try:
        return steps(results)
    except ValueError as error:
        if str(error).startswith(f"{_NAME}:"):
            raise PipelineError(str(error)) from error
        raise


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


def _no_loader(pipeline: list[dict]) -> PipelineError:
    return PipelineError(
        "the test pipeline must begin with LoadImageFromFile or another step that loads the image, "
        f"got {step_name(pipeline[0])}"
    )
