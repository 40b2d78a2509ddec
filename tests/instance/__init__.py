"""Tests of instance masks."""

import mmseg_pointrend  # noqa: F401 - before mmdet, which imports ops that mmcv-lite lacks
