"""The sweeps: which variants of a config the paper's tables and its users' notes compare.

A variant is what is tested; several may share a training, also those of several sweeps: a variant
that is what the config says already is a test of the training `AS_CONFIGURED`. Each sweep is made
for a config, because some of its values depend on the config's.

- `sweep`: what a sweep is.
- `head_settings`: other settings of the head that PointRend is in; Tables 3 and 4.
- `two_classes`: what practice says of two classes.
- `coarse_models`: segmentors with and without PointRend; Tables 6, 7 and 8.
- `alternatives`: other decoders, trained alike.
- `mask_heads`: detectors with and without PointRend; Tables 1 and 5.
- `build`: from a name and a config to a sweep.
"""

from mmseg_pointrend.lab.ablation.sweeps.build import (
    SWEEPS,
    build_sweep,
    fitting_sweeps,
    sweeps_of,
)
from mmseg_pointrend.lab.ablation.sweeps.sweep import (
    AS_CONFIGURED,
    Sweep,
    Training,
    UnfitConfigError,
    UnknownBaselineError,
)

__all__ = [
    "AS_CONFIGURED",
    "SWEEPS",
    "Sweep",
    "Training",
    "UnfitConfigError",
    "UnknownBaselineError",
    "build_sweep",
    "fitting_sweeps",
    "sweeps_of",
]
