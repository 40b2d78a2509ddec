"""Predicting pictures, one or very many, with a model that is built: no config files here.

One picture:

- `images`: files that a decoder would misread.
- `pixels`: pictures in memory.
- `reading`: pictures read and prepared as a test pipeline says.
- `predictor`: labels, and how sure they are, of pictures as in testing or in sliding windows.
- `network`: half precision, folded BatchNorms, compiled parts.
- `instances`: objects of pictures, predicted, written as JSON and painted.
- `object_steps`: how the masks of objects were rendered, step by step.

Many:

- `inputs`: which files are meant.
- `sources`: which pictures are meant in Python.
- `names`: what the files are called that are written for them.
- `written`: label maps, confidences and overlays as files, marked with what they were made of.
- `overlays`: the classes' colours painted over a picture.
- `palettes`: the classes' colours and names.
- `record`: what made the files of a folder.
- `folder`: where a job's files lie, and which are finished.
- `loading`: pictures read ahead, and put together to batches.
- `shares`: which pictures are this process's.
- `progress`: how far a job is.
- `stopping`: Ctrl-C and SIGTERM.
- `job`: all pictures from first to last.
- `ray_job`: the same on the machines of a Ray cluster.
- `predictions_hook`: the same files, written by a test.
"""

from mmseg_pointrend import compat

compat.setup()
