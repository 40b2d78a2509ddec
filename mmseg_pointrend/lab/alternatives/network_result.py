"""What all that is compared begins with: a picture's features and coarse logits."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmengine.dataset import pseudo_collate
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_pointrend.core import Resize


class NetworkResult(NamedTuple):
    """What the network makes of one picture.

    Attributes:
        features: feature maps, each (1, C_i, h_i, w_i).
        coarse_logits: (1, K, h, w).
        picture: (1, 3, H, W), the network's input, in [0, 1].
        sample: whose meta says what the pipeline did.
    """

    features: Sequence[Tensor]
    coarse_logits: Tensor
    picture: Tensor
    sample: SegDataSample

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the network's input."""
        return self.picture.shape[2], self.picture.shape[3]

    def probabilities(self, enlarged: bool) -> Tensor:
        """Take the coarse probabilities, (1, K, h, w), or (1, K, H, W) of the enlarged logits."""
        logits = self.coarse_logits
        logits = Resize(*self.size).apply(logits) if enlarged else logits
        return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


@torch.no_grad()
def run_network(model: nn.Module, item: dict) -> NetworkResult:
    """Run backbone, neck and coarse head.

    Args:
        model: a PointRend model in evaluation mode.
        item: `inputs` and `data_samples`; it stays as it is.
    """
    item = dict(item, data_samples=item["data_samples"].clone())
    batch = model.data_preprocessor(pseudo_collate([item]), False)
    features = model.extract_feat(batch["inputs"])
    coarse = model.decode_head.coarse_prediction(features)
    (sample,) = batch["data_samples"]
    return NetworkResult(features, coarse, _picture(model, batch["inputs"]), sample)


def decide_probabilities(model: nn.Module, probabilities: Tensor, sample: SegDataSample) -> Tensor:
    """Bring (1, K, H, W) probabilities at the network's input to (1, H', W') labels."""
    # What decides takes logits; of several classes the largest is the same.
    alone = probabilities.shape[1] == 1
    logits = probabilities.logit(eps=1e-6) if alone else probabilities
    (found,) = model.postprocess_result(logits, [sample.clone()])
    return found.pred_sem_seg.data.cpu()


def _picture(model: nn.Module, inputs: Tensor) -> Tensor:
    """Undo the preprocessor's normalisation of (1, 3, H, W) inputs: colours in [0, 1]."""
    preprocessor = model.data_preprocessor
    if getattr(preprocessor, "mean", None) is not None:
        inputs = inputs * preprocessor.std + preprocessor.mean
    return (inputs / 255).clamp(0, 1)
