"""What tools, notebooks and services call. Importing it is cheap; its modules bring mmseg in.

- `training`: train a config.
- `testing`: test a config's checkpoint, also with test-time augmentation.
- `prediction`: predict an image file of any size, or very many.
- `models`: a config's model with its weights.
- `tasks`: what is different for semantic and for instance segmentation.
- `configs`: load a config, fit it to the machine, check it and its data before work starts.
- `evaluators`: what a config says of its test metrics.
- `console`: what command-line tools share.
"""
