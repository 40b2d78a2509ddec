"""Settings for every test: one thread per process, because the tests run in several processes."""

import torch

import mmseg_pointrend  # noqa: F401 - its stand-in for mmcv._ext must precede imports of mmseg

torch.set_num_threads(1)
