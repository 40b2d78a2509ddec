"""The laboratory: what the claims of this project were made with. Only tools and tests import it.

- `scenes`: generated street scenes with exact labels, and coarse logits as of a trained network.
- `demo`: a small PointRend and its baseline, trained on the scenes, measured and drawn: label maps,
  or the masks of objects.
- `ablation`: the paper's ablations, variant by variant, with their tables and plots.
- `alternatives`: what else sharpens a coarse map, beside PointRend in one run.
- `upsampling`: CARAFE, DySample and a decoder at stride 4, to be trained beside it.
- `benchmark`: speed and memory of predictions and training steps, beside mmsegmentation's; how the
  cost of rendering grows with pixels, classes and points.
- `counting`: parameters, multiply-adds and activations.
- `figures`: pictures of what rendering changes, of training data and training points, and curves.
- `defaults`: what a setting is where a config is silent.
- `image_shapes`: how large a config's images are.
- `machine`: the cores that a process may use.
"""
