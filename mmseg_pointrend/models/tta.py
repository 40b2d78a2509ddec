"""Test-time augmentation by running sums: memory does not grow with the number of views."""

from functools import partial

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn

from mmseg_pointrend.models.segmentor import logits_at_original


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
            For each image the sample of its first view, with `pred_sem_seg` (1, H, W), int64, at
            the original image's size.
        """
        sums: list[Tensor] = []
        results: SampleList = []
        for inputs, samples in zip(data["inputs"], data["data_samples"], strict=True):
            samples = self._add_view(sums, inputs, samples)
            results = results or samples
        for sample, total in zip(results, sums, strict=True):
            mean, *coarse = total.div_(len(data["inputs"]))
            sample.set_data(dict(pred_sem_seg=PixelData(data=self._decide(mean))))
            for found in coarse:
                sample.set_data(dict(coarse_sem_seg=PixelData(data=self._decide(found))))
            if self.keep_probabilities:
                sample.set_data(dict(seg_probabilities=PixelData(data=mean)))
        return results

    def _add_view(
        self, sums: list[Tensor], inputs: list[Tensor], samples: SampleList
    ) -> SampleList:
        """Add one view's probabilities to each image's sum; the first view's become the sums."""
        view = self.module.data_preprocessor(dict(inputs=inputs, data_samples=samples), False)
        predict = getattr(
            self.module, "logits_at_original", partial(logits_at_original, self.module)
        )
        first = not sums
        for index, logits in enumerate(predict(**view)):
            # (1, K, H, W), or (2, K, H, W) with coarse logits behind the others.
            probabilities = logits.float().unflatten(0, (-1, self.module.out_channels))
            for found in probabilities:
                _to_probabilities(found)
            if first:
                sums.append(probabilities)
            else:
                sums[index] += probabilities
            # Or they would live on while the next image is predicted.
            del logits, probabilities, found
        return view["data_samples"]

    def _decide(self, mean: Tensor) -> Tensor:
        if len(mean) == 1:
            return (mean > self.module.decode_head.threshold).long()
        return mean.argmax(dim=0, keepdim=True)


def _to_probabilities(logits: Tensor) -> None:
    """Turn (K, H, W) logits into probabilities, in place."""
    if len(logits) == 1:
        logits.sigmoid_()
        return
    logits -= logits.amax(dim=0, keepdim=True)
    logits.exp_()
    logits /= logits.sum(dim=0, keepdim=True)
