"""What else sharpens a map, trained like the baseline: CARAFE, DySample, a decoder at stride 4."""

import math
from pathlib import Path

from mmengine.config import Config

from mmseg_pointrend.apis.configs import load_config, shipped_config
from mmseg_pointrend.lab.ablation.sweeps.coarse_models import find_pair
from mmseg_pointrend.lab.ablation.sweeps.sweep import (
    AS_CONFIGURED,
    Sweep,
    Training,
    UnfitConfigError,
)
from mmseg_pointrend.lab.ablation.tasks import SEMANTIC

#: Registers the heads.
HEADS = "mmseg_pointrend.lab.upsampling.heads"
#: Stride to which all of them predict.
STRIDE = 4


def alternatives(config: Config, path: Path) -> Sweep:
    """Compare a SemanticFPN, the same with other decoders, and with PointRend."""
    pair = find_pair(path)
    baseline = shipped_config(pair.baseline)
    base = load_config(baseline)
    head = base.model.decode_head
    if head.type != "FPNHead":
        raise UnfitConfigError(
            f"config {path} has a {head.type}; this sweep has other decoders for FPNHead alone"
        )
    enlargements = max(0, round(math.log2(head.feature_strides[0] / STRIDE)))
    point_head = SEMANTIC.head_of(config).point_head
    changes = {
        "stride-4-decoder": dict(
            type="RefinedFPNHead",
            fine_index=point_head.in_index[0],
            fine_channels=point_head.in_channels[0],
        ),
        "dysample": dict(
            type="UpsamplingFPNHead", enlargements=enlargements, upsampling=dict(type="DySample")
        ),
        "carafe": dict(
            type="UpsamplingFPNHead", enlargements=enlargements, upsampling=dict(type="Carafe")
        ),
    }
    trainings = [Training(pair.name, {pair.name: {}}, config=baseline)]
    imports = {"custom_imports.imports": [*base.custom_imports.imports, HEADS]}
    for name, change in changes.items():
        options = {f"{SEMANTIC.head}.{key}": value for key, value in change.items()}
        full = f"{pair.name}_{name}"
        trainings.append(Training(full, {full: {}}, imports | options, baseline))
    rendered = f"{pair.name}_pointrend"
    trainings.append(Training(AS_CONFIGURED, {rendered: {}}))
    return Sweep("What else sharpens a map", "trained alike", tuple(trainings))
