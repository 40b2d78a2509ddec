"""A network that others have trained, sharpened: ESPNet with its published CamVid weights.

- `network`: ESPNet, built from its paper.
- `camvid`: pictures and labels, as that network takes them.
- `sharpening`: its own decoder against a point head on its maps, on all test pictures.
"""

from mmseg_pointrend.lab.espnet.network import ESPNet, normalized
from mmseg_pointrend.lab.espnet.sharpening import Sharpening, read_maps, sharpen

__all__ = ["ESPNet", "Sharpening", "normalized", "read_maps", "sharpen"]
