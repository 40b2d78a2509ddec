"""The models of a benchmark: ours, mmsegmentation's or the coarse one, with the same weights."""

import types
import warnings
from collections.abc import Callable, Sequence

import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_pointrend.apis.configs import is_pointrend
from mmseg_pointrend.engine.weights_check import load_weights
from mmseg_pointrend.lab.benchmark.settings import Settings
from mmseg_pointrend.lab.benchmark.upstream import (
    COARSE_PREFIXES,
    coarse_model_config,
    rename_weights,
    upstream_config,
    upstream_prefixes,
)
from mmseg_pointrend.lab.image_shapes import image_channels

#: Random weights of the point head: their deviation, and the share of the coarse logits that its
#: last layer lets through, so that points look like sharpened coarse logits and not like noise.
_DEVIATION, _COARSE_SHARE = 0.01, 1.5


def build_models(settings: Settings, config: Config) -> dict[str, nn.Module]:
    """Build our model, and the one that it is compared with, with the same weights.

    Args:
        settings: complete ones.
        config: the whole config.

    Returns:
        "ours" and, if one is asked for, "upstream" or "coarse"; on the device, not compiled.

    Raises:
        ValueError: if the checkpoint is not one of this config, or there is nothing to compare.
    """
    ours = build_quietly(config.model)
    if settings.checkpoint is not None:
        load_weights(ours, settings.checkpoint, settings.allow_unset)
    elif has_point_head(ours):
        let_coarse_logits_through(ours.decode_head.point_head, ours.out_channels)
    models = {"ours": ours}
    if settings.versus is not None:
        if settings.versus == "upstream":
            image = torch.zeros(1, image_channels(config), *settings.shape)
            rival = build_quietly(
                upstream_config(config.model, lambda: _resolve_num_points(ours, image))
            )
            prefixes = upstream_prefixes(ours)
        else:
            rival, prefixes = build_quietly(coarse_model_config(config.model)), COARSE_PREFIXES
        rival.load_state_dict(rename_weights(ours.state_dict(), prefixes))
        models[settings.versus] = rival
    for model in models.values():
        model.to(settings.torch_device).train(settings.train)
    _set_memory_format(ours, settings.channels_last)
    return models


def coarse_head_of(model: nn.Module) -> nn.Module:
    """Find the coarse head in any of the models; a model without PointRend is nothing else."""
    head = model.decode_head
    if isinstance(head, nn.ModuleList):
        return head[0]
    return getattr(head, "coarse_head", head)


def has_point_head(model: nn.Module) -> bool:
    """Tell whether a model has a head that renders."""
    return is_pointrend(model) or isinstance(model.decode_head, nn.ModuleList)


def replace_output(module: nn.Module, replacement: Callable) -> None:
    """Let a module run and answer something else: replacement(what it found)."""
    forward = module.forward
    module.forward = lambda *args, **kwargs: replacement(forward(*args, **kwargs))


def build_quietly(model_config: dict) -> nn.Module:
    """Build a model, or a part of one, from a seed and without mmsegmentation's advice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        return MODELS.build(model_config)


def let_coarse_logits_through(point_head: nn.Module, num_channels: int) -> None:
    """Give a point head random weights whose predictions look like sharpened coarse logits."""
    for parameter in point_head.parameters():
        nn.init.normal_(parameter, std=_DEVIATION)
    last = getattr(point_head, "fc_seg", None)
    if last is not None and (point_head.coarse_pred_each_layer or not len(point_head.fcs)):
        with torch.no_grad():
            last.weight[:, -num_channels:, 0] += _COARSE_SHARE * torch.eye(num_channels)


@torch.no_grad()
def _resolve_num_points(model: nn.Module, image: Tensor) -> int:
    """Find N for (1, C, H, W); the size of the last grid shows when the model runs."""
    head = model.eval().decode_head
    coarse = head.coarse_prediction(model.extract_feat(image))
    return head.subdivision.count_points((coarse.shape[2], coarse.shape[3]))


def with_picture(model: nn.Module, maps: Sequence[Tensor], picture: Tensor) -> Sequence[Tensor]:
    """Hand feature maps on as a model's own `extract_feat` does: with the picture if it is read."""
    return model.decode_head.with_picture(maps, picture) if is_pointrend(model) else maps


def _set_memory_format(model: nn.Module, channels_last: str) -> None:
    """Make our model keep its maps as asked; mmsegmentation's takes them as they come."""
    if channels_last == "auto":
        return
    plain = MODELS.get("EncoderDecoder").extract_feat
    memory_format = torch.contiguous_format
    if channels_last == "on":
        memory_format = torch.channels_last
        model.to(memory_format=memory_format)

    def extract_feat(self: nn.Module, inputs: torch.Tensor) -> Sequence[torch.Tensor]:
        maps = plain(self, inputs.contiguous(memory_format=memory_format))
        return with_picture(self, maps, inputs)

    model.extract_feat = types.MethodType(extract_feat, model)
