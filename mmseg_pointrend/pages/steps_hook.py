"""The steps of validation pictures' renderings, drawn while a model is trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmseg.structures import SegDataSample

from mmseg_pointrend.inference.palettes import complete_names, complete_palette
from mmseg_pointrend.inference.predictor import Details, predict_batch
from mmseg_pointrend.pages.rendered_picture import RenderedPicture
from mmseg_pointrend.pages.step_picture import draw_steps


@HOOKS.register_module()
class RenderingStepsHook(Hook):
    """Draw what each step of the rendering does, as `tools/visualize.py` does, in validation.

    The images go to the runner's visualizer, and so to each of its backends: files below
    `vis_data/vis_image`, TensorBoard or others. With several processes the first one draws, of its
    share of the pictures. The network runs twice more for a picture that is drawn.

    Args:
        numbers: of the validation's batches, from 0; of each all pictures are drawn.
        tile_width: pixels, see `draw_steps`.

    Raises:
        ValueError: for a number below 0.
    """

    priority = "VERY_LOW"

    def __init__(self, numbers: Sequence[int] = (0,), tile_width: int = 320) -> None:
        if any(number < 0 for number in numbers):
            raise ValueError(f"numbers must be >= 0, got {list(numbers)}")
        self.numbers, self.tile_width = frozenset(numbers), tile_width

    def before_val(self, runner: Runner) -> None:
        """Look whether there are steps.

        Raises:
            ValueError: for a model without them.
        """
        if not hasattr(_model_of(runner), "rendering_steps"):
            raise ValueError(
                "RenderingStepsHook draws the steps of a PointRend (model.type='PointRend'), got "
                f"{type(_model_of(runner)).__name__}: leave it out of custom_hooks"
            )

    @master_only
    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[SegDataSample] | None = None,
    ) -> None:
        """Draw the pictures of a chosen batch."""
        if batch_idx not in self.numbers or data_batch is None:
            return
        model, metainfo = _model_of(runner), runner.val_dataloader.dataset.metainfo
        pairs = zip(data_batch["inputs"], data_batch["data_samples"], strict=True)
        items = [dict(inputs=inputs, data_samples=sample.clone()) for inputs, sample in pairs]
        found = predict_batch(model, items, Details(steps=True))
        for item, maps in zip(items, found, strict=True):
            sample = item["data_samples"]
            picture = RenderedPicture(
                name=Path(sample.img_path).stem,
                pixels=_pixels_of(sample, maps.labels.shape),
                steps=maps.steps,
                classes=complete_names(metainfo.get("classes") or [], model.num_classes),
                palette=complete_palette(metainfo.get("palette") or [], model.num_classes),
                truth=_truth_of(sample),
                ignore_index=model.decode_head.ignore_index,
            )
            image = draw_steps(picture, self.tile_width)
            # Without a "/": mmengine's backend for files writes nothing into folders that are new.
            runner.visualizer.add_image(f"steps_{picture.name}", image, step=runner.iter)


def _model_of(runner: Runner) -> Any:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _truth_of(sample: SegDataSample) -> np.ndarray | None:
    if "gt_sem_seg" not in sample:
        return None
    return sample.gt_sem_seg.data[0].cpu().numpy()


def _pixels_of(sample: SegDataSample, size: tuple[int, int]) -> np.ndarray:
    """Read the picture, (H, W, 3), red first; black where it is no file that OpenCV reads."""
    found = cv2.imread(sample.img_path, cv2.IMREAD_COLOR)
    if found is None:
        return np.zeros((*size, 3), np.uint8)
    if found.shape[:2] != size:
        found = cv2.resize(found, size[::-1])
    return np.ascontiguousarray(found[..., ::-1])
