"""What else people use to sharpen a coarse map, beside PointRend: the same model, the same run.

- `guided_filter`, `dense_crf`: what follows the picture's edges, without training.
- `network_result`: what they all begin with, a picture's features and coarse logits.
- `methods`: the list of what is compared, by name, and the settings that there are to choose from.
- `augmented`: flips and scales.
- `comparing`: the run: settings chosen on validation pictures, quality and time on test pictures.
- `peak_memory`: what each needs beside the network.
- `report`: table and picture.
- `checkpoints`: all of this for the checkpoints of several seeds.
"""

from mmseg_pointrend.lab.alternatives.checkpoints import compare_checkpoints
from mmseg_pointrend.lab.alternatives.comparing import Comparison, compare_alternatives

__all__ = ["Comparison", "compare_alternatives", "compare_checkpoints"]
