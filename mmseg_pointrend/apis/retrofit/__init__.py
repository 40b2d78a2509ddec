"""A trained model of mmsegmentation gets a point head: the model stays as it is, the head trains.

- `base_maps`: what the model computes, found by running it once: strides and channels.
- `config`: the config of the model with a point head, `freeze_base=True` in it.
- `training`: from the base's config and checkpoint to the retrofitted ones.

For a network that is no model of mmsegmentation see `mmseg_pointrend.retrofit`.
"""

from mmseg_pointrend.apis.retrofit.config import PointSettings
from mmseg_pointrend.apis.retrofit.training import Folder, train_retrofit

__all__ = ["Folder", "PointSettings", "train_retrofit"]
