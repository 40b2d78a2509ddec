"""What tools and notebooks call. Importing this package is cheap; its modules bring mmseg in.

- `training`: train a config.
- `testing`: test a config's checkpoint, also with test-time augmentation.
- `prediction`: predict an image file of any size.
- `images`: read image files, write label maps.
- `configs`: load a config, fit it to the machine, check it and its data before work starts.
- `demo`: generated scenes, a small PointRend and its baseline, and the comparison of the two.
- `benchmark`: speed and memory of predictions and training steps, beside mmsegmentation's.
- `cost_growth`: how time and memory of rendering grow with pixels, classes and points.
- `console`: what command-line tools share.
"""
