"""Our models as mmsegmentation has them: its own PointRend, and the coarse head alone.

Upstream: mmsegmentation 1.2.2, `mmseg/models/segmentors/cascade_encoder_decoder.py` and
`mmseg/models/decode_heads/point_head.py`, whose PointRend is a list of two decode heads.
"""

import copy
import math
from collections.abc import Callable, Mapping

from mmengine.config import ConfigDict
from torch import Tensor, nn

from mmseg_pointrend.apis.configs import is_pointrend
from mmseg_pointrend.core import THRESHOLD, Subdivision, TrainingPoints
from mmseg_pointrend.engine.type_names import type_name
from mmseg_pointrend.lab.defaults import default_of

#: Where the coarse head's weights lie -> where a model without PointRend has them.
COARSE_PREFIXES = {"decode_head.coarse_head.": "decode_head."}

#: Written once in our head, and again in each of mmsegmentation's.
_SHARED = ("num_classes", "ignore_index")


def upstream_config(model: ConfigDict, resolve_points: Callable[[], int]) -> ConfigDict:
    """Write a PointRend model's config as mmsegmentation writes it.

    Args:
        model: our config's `model`.
        resolve_points: called for N in inference where the config does not give a number.

    Raises:
        ValueError: for a setting that mmsegmentation's PointRend does not have.
    """
    check_pointrend(model, "upstream")
    head = model.decode_head
    subdivision = Subdivision(**(head.get("subdivision") or {}))
    _check_upstream_has_it(head, subdivision)
    num_points = subdivision.num_points
    if not isinstance(num_points, int):
        num_points = resolve_points()
    return _replace(
        model,
        type="CascadeEncoderDecoder",
        num_stages=2,
        decode_head=[coarse_config(model), point_head_config(head)],
        train_cfg=_training_config(TrainingPoints(**(head.get("training_points") or {}))),
        test_cfg=dict(
            **(model.get("test_cfg") or dict(mode="whole")),
            subdivision_steps=subdivision.steps,
            subdivision_num_points=num_points,
            scale_factor=subdivision.scale_factor,
        ),
    )


def _training_config(points: TrainingPoints) -> dict:
    if points.bias is None:
        raise ValueError(
            "versus='upstream': mmsegmentation has no decode_head.training_points.strategy="
            "'regular-grid', only k and beta"
        )
    return dict(num_points=points.num_points, **points.bias._asdict())


def coarse_model_config(model: ConfigDict) -> ConfigDict:
    """Write the config of the same model without PointRend: the coarse head is the decode head.

    Raises:
        ValueError: if the model has no PointRend.
    """
    check_pointrend(model, "coarse")
    return _replace(model, type="EncoderDecoder", decode_head=coarse_config(model))


def coarse_config(model: ConfigDict) -> dict:
    """Complete the coarse head's config by what our head hands on to it."""
    head = model.decode_head
    config = dict(head.coarse_head)
    for key in (*_SHARED, "out_channels", "threshold"):
        if head.get(key) is not None:
            config.setdefault(key, head[key])
    if head.get("out_channels") == 1:
        config.setdefault("threshold", THRESHOLD)
        config.setdefault("loss_decode", dict(type="CrossEntropyLoss", use_sigmoid=True))
    return config


def point_head_config(head: ConfigDict) -> dict:
    """Write the config of mmsegmentation's point head for a config of our head."""
    point_head = {
        key: value for key, value in head.point_head.items() if key not in ("type", "init_cfg")
    }
    in_channels, in_index = (
        point_head["in_channels"],
        point_head.get("in_index", default_of("PointMLP", "in_index")),
    )
    config = {
        # Here mmsegmentation's PointHead has other defaults.
        **{name: default_of("PointMLP", name) for name in ("channels", "dropout_ratio")},
        **point_head,
        "type": "PointHead",
        "in_channels": [in_channels] if isinstance(in_channels, int) else list(in_channels),
        "in_index": [in_index] if isinstance(in_index, int) else list(in_index),
        "loss_decode": head.get("loss_point") or dict(type="CrossEntropyLoss", use_sigmoid=False),
    }
    for key in _SHARED:
        if head.get(key) is not None:
            config.setdefault(key, head[key])
    return config


def rename_weights(state: Mapping[str, Tensor], prefixes: Mapping[str, str]) -> dict[str, Tensor]:
    """Rename a PointRend model's weights; those of head parts without a new name are left out.

    Args:
        state: the state dict of our model.
        prefixes: `upstream_prefixes` or `COARSE_PREFIXES`.
    """
    renamed = {}
    for key, value in state.items():
        if not key.startswith("decode_head."):
            renamed[key] = value
        for old, new in prefixes.items():
            if key.startswith(old):
                renamed[new + key[len(old) :]] = value
    return renamed


def upstream_prefixes(model: nn.Module) -> dict[str, str]:
    """Where our head's parts lie -> where they lie in mmsegmentation's list of heads."""
    prefixes = model.decode_head.upstream_prefixes.items()
    return {f"decode_head.{ours}": f"decode_head.{theirs}" for theirs, ours in prefixes}


def check_pointrend(model: ConfigDict, versus: str) -> None:
    """Raise ValueError unless there is a PointRend to compare with something."""
    if not is_pointrend(model):
        raise ValueError(
            f"versus={versus!r} compares PointRend, and this config has none: "
            f"model.decode_head.type={model.decode_head.get('type')!r}"
        )


def _replace(model: ConfigDict, **values: object) -> ConfigDict:
    """Copy a config and set keys of it; `ConfigDict.update` would merge what is there."""
    config = copy.deepcopy(model)
    for key in ("predict_logits", "predict_coarse"):
        config.pop(key, None)
    for key, value in values.items():
        config[key] = ConfigDict(value) if isinstance(value, dict) else value
    return config


def _check_upstream_has_it(head: ConfigDict, subdivision: Subdivision) -> None:
    if head.get("out_channels") == 1 or head.num_classes == 1:
        raise ValueError(
            "versus='upstream': mmsegmentation's PointHead has no out_channels=1; it takes the "
            "difference of the two best logits. Set decode_head.out_channels=2, or compare with "
            "versus='coarse'"
        )
    for name, value, theirs in (
        ("point_head.type", type_name(dict(dict(type="PointMLP"), **head.point_head)), "PointMLP"),
        (
            "uncertainty",
            head.get("uncertainty", default_of("PointRendHead", "uncertainty")),
            "logit",
        ),
        ("training_points.type", (head.get("training_points") or {}).get("type"), None),
        ("coarse_at_fine", head.get("coarse_at_fine", False), False),
        ("picture", head.get("picture"), None),
        ("subdivision.max_margin", subdivision.max_margin, math.inf),
    ):
        if value != theirs:
            raise ValueError(
                f"versus='upstream': mmsegmentation has no decode_head.{name}={value!r}, "
                f"only {theirs!r}"
            )
