"""Ablations: `run_sweeps` trains and tests variants of a config, and writes tables and plots.

- `sweeps`: what is varied, by the task and the name of the sweep.
- `tasks`: what segmentors and detectors do not share.
- `run_folder`: a folder for each training, which sweeps share; its settings, tests and results.
- `one_run`: the process that trains and tests in such a folder.
- `workers`: several such processes at a time, here or under Slurm.
- `results_table`, `plot`: what came out.
"""

from mmseg_pointrend.lab.ablation.run_sweeps import demo_config, describe_sweeps, run_sweeps
from mmseg_pointrend.lab.ablation.sweeps import SWEEPS

__all__ = ["SWEEPS", "demo_config", "describe_sweeps", "run_sweeps"]
