"""PointRend for a network that exists already, whatever it is built with: on torch and core alone.

The network stays as it is, frozen to the bit; what is trained is a point head that reads its maps.

    model = Retrofit(network, read_maps, example)
    HeadTraining(model, TrainingSettings(iterations=1000)).run(batches)
    labels = model(images)

- `point_head`: the MLP that is trained.
- `retrofit`: the network with the point head: labels, logits, losses.
- `loss`: the loss of points.
- `training`: the point head's training, seeded and resumable.
- `kept_maps`: what the network computes of pictures, once and for all.
- `batches`: pictures and labels again and again, in an order that follows from the seed.

Models of mmsegmentation are retrofitted by a config, see `tools/retrofit.py`.
"""

from mmseg_pointrend.retrofit.kept_maps import KeptMaps
from mmseg_pointrend.retrofit.point_head import PointHead
from mmseg_pointrend.retrofit.retrofit import Maps, ReadMaps, Retrofit
from mmseg_pointrend.retrofit.training import HeadTraining, TrainingSettings, TrainingStep

__all__ = [
    "HeadTraining",
    "KeptMaps",
    "Maps",
    "PointHead",
    "ReadMaps",
    "Retrofit",
    "TrainingSettings",
    "TrainingStep",
]
