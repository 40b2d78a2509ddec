"""Speed and memory of the mask branch of instance models: everything after the backbone and boxes.

- `branches`: ours, mmdet's PointRend, and mask heads of convolutions.
- `works`: what is timed, prediction or training step, on random features and boxes.
- `benchmark`: the measurement, and its report as text.
"""
