"""Flips and scales, as the config's test-time augmentation has them."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS, MODELS
from torch import Tensor, nn

from mmseg_pointrend.apis.tasks import task_of
from mmseg_pointrend.datasets.traced_pipeline import trace_pipelines

COARSE_VIEWS, POINTREND_VIEWS = "coarse map, flips and scales", "PointRend, flips and scales"


class AugmentedPrediction:
    """Predict views of a picture and decide by their mean.

    Args:
        model: a PointRend model in evaluation mode.
        config: the whole config; changed.

    Attributes:
        dataset: the test pictures, views of each.

    Raises:
        ValueError: for a config without test-time augmentation.
    """

    def __init__(self, model: nn.Module, config: Config) -> None:
        task_of(config).prepare_test(config, None, None, tta=True)
        wrapper = {key: value for key, value in config.model.items() if key != "module"}
        self._head = model.decode_head
        self._augmented = MODELS.build(dict(wrapper, module=model)).eval()
        self.dataset: Sequence[dict] = DATASETS.build(config.test_dataloader.dataset)
        trace_pipelines(self.dataset, "test_dataloader.dataset")

    def methods(self) -> list[tuple[str, Sequence[dict], Callable[[dict], Tensor]]]:
        """List both: name, pictures, and what predicts one of them."""
        return [
            (name, self.dataset, functools.partial(self, rendered=rendered))
            for name, rendered in ((COARSE_VIEWS, False), (POINTREND_VIEWS, True))
        ]

    @torch.no_grad()
    def __call__(self, views: dict, rendered: bool) -> Tensor:
        """Predict (1, H', W') labels, by the rendering or by the coarse logits alone.

        Args:
            views: an item of `dataset`; not to be used again.
            rendered: whether the coarse logits are rendered.
        """
        own = self._head.subdivision
        if not rendered:
            self._head.subdivision = dataclasses.replace(own, steps=0)
        try:
            (sample,) = self._augmented.test_step(pseudo_collate([views]))
        finally:
            self._head.subdivision = own
        return sample.pred_sem_seg.data.cpu()
