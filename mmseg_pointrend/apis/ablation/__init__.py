"""Ablations: `run_sweep` trains and tests the variants of a sweep and writes their table and plot.

- `sweeps`: what is varied, by the name of the sweep.
- `run_folder`: a folder for each training, its settings, and when it is finished.
- `one_run`: the process that trains and tests in such a folder.
- `workers`: several such processes at a time, here or under Slurm.
- `table`, `plot`: what came out.
"""
