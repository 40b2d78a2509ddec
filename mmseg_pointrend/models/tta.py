"""Test-time augmentation by running sums: memory does not grow with the number of views."""

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn

from mmseg_pointrend.core import decide_by_probability
from mmseg_pointrend.core.pieces import piece_size
from mmseg_pointrend.models.segmentor import Prediction, logits_at_original


@MODELS.register_module()
class PointRendTTA(SegTTAModel):
    """mmsegmentation's `SegTTAModel`, which averages the class probabilities of all views.

    What it does differently: a view's probabilities are added to a sum and forgotten before the
    next view is predicted, instead of the logits of all views being kept until the last. It works
    for every `EncoderDecoder`. With one output channel the sigmoid is taken once, also for
    mmsegmentation's own segmentor, which hands over probabilities as logits.

    Args:
        module: the segmentor, or its config.
        data_preprocessor: config that replaces the segmentor's own.
        keep_probabilities: leave the mean probabilities, (K, H, W), as `seg_probabilities` in the
            results.

    With a `PointRend` that has `predict_coarse`, the results also have `coarse_sem_seg`, decided by
    the mean of the coarse probabilities.
    """

    #: See `PointRend`.
    follows_undo = True

    def __init__(
        self,
        module: dict | nn.Module,
        data_preprocessor: dict | nn.Module | None = None,
        keep_probabilities: bool = False,
    ) -> None:
        super().__init__(module, data_preprocessor)
        self.keep_probabilities = keep_probabilities

    @torch.no_grad()
    def test_step(self, data: dict) -> SampleList:
        """Predict the views of a batch of images one by one, and decide by their mean.

        Args:
            data: `inputs` and `data_samples`, for each view a list over the images, as
                `TestTimeAug` and `pseudo_collate` make them.

        Returns:
            for each image the sample of its first view, with `pred_sem_seg` (1, H, W), int64, at
            the original image's size.
        """
        sums: list[Prediction] = []
        results: SampleList = []
        for inputs, samples in zip(data["inputs"], data["data_samples"], strict=True):
            samples = self._add_view(sums, inputs, samples)
            results = results or samples
        for sample, total in zip(results, sums, strict=True):
            mean = total.map(lambda probabilities: probabilities.div_(len(data["inputs"])))
            labels = mean.map(self._decide)
            sample.set_data(dict(pred_sem_seg=PixelData(data=labels.refined)))
            if labels.coarse is not None:
                sample.set_data(dict(coarse_sem_seg=PixelData(data=labels.coarse)))
            if self.keep_probabilities:
                sample.set_data(dict(seg_probabilities=PixelData(data=mean.refined)))
        return results

    def _add_view(
        self, sums: list[Prediction], inputs: list[Tensor], samples: SampleList
    ) -> SampleList:
        """Add one view's probabilities to each image's sum; the first view's become the sums."""
        view = self.module.data_preprocessor(dict(inputs=inputs, data_samples=samples), False)
        first = not sums
        for index, logits in enumerate(logits_at_original(self.module, **view)):
            probabilities = logits.map(lambda found: _to_probabilities(found.float()))
            if first:
                sums.append(probabilities)
            else:
                _add(sums[index], probabilities)
            # Or they would live on while the next image is predicted.
            del logits, probabilities
        return view["data_samples"]

    def _decide(self, mean: Tensor) -> Tensor:
        """Decide by (K, H, W) probabilities: (1, H, W)."""
        threshold = getattr(self.module.decode_head, "threshold", None)
        return decide_by_probability(mean[None], threshold)


def _add(total: Prediction, found: Prediction) -> None:
    """Add to a sum, in place."""
    for target, values in zip(total.maps(), found.maps(), strict=True):
        target += values


def _to_probabilities(logits: Tensor) -> Tensor:
    """Turn (K, H, W) logits into probabilities, in place where memory is short."""
    if len(logits) == 1:
        return logits.sigmoid_()
    if logits.device.type != "cpu" and logits.numel() <= piece_size(logits.device):
        return logits.softmax(dim=0)
    logits -= logits.amax(dim=0, keepdim=True)
    logits.exp_()
    logits /= logits.sum(dim=0, keepdim=True)
    return logits
