"""Settings for every test: one thread per process, because the tests run in several processes."""

from functools import cache

import mmengine.config.utils
import torch

import mmseg_pointrend  # noqa: F401 - its stand-in for mmcv._ext must precede imports of mmseg

torch.set_num_threads(1)

# For every file that a config inherits from mmsegmentation, mmengine reads all 50 metafiles there.
# Once is enough: they are only looked things up in, and most of a config's loading time.
mmengine.config.utils.load = cache(mmengine.config.utils.load)
