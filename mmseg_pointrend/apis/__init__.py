"""What tools and notebooks call. Importing this package is cheap; its modules bring mmseg in.

- `training`: train a config.
- `testing`: test a config's checkpoint, also with test-time augmentation.
- `prediction`: predict an image file of any size.
- `images`: read image files, write label maps.
- `configs`: load a config, fit it to the machine, check it and its data before work starts.
- `demo`: generated scenes, a small PointRend and its baseline, and the comparison of the two.
- `ablation`: the paper's ablations, variant by variant, with their tables and plots.
- `benchmarking`: speed and memory of predictions and training steps, beside mmsegmentation's; how
  the cost of rendering grows with pixels, classes and points.
- `counting`: parameters, multiply-adds and activations.
- `training_points_figure`: a picture of the strategies for choosing training points.
- `machine`: the cores that a process may use.
- `console`: what command-line tools share.
"""
