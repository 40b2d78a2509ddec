"""Whether two models give the same labels, and how close the decision was where they do not."""

from collections.abc import Sequence

from mmseg.structures import SegDataSample

from mmseg_pointrend.core import logit_margin


def compare_labels(ours: Sequence[SegDataSample], upstream: Sequence[SegDataSample]) -> dict:
    """Compare predicted labels pixel by pixel.

    Args:
        ours: predictions.
        upstream: predictions for the same images, with `seg_logits`.

    Returns:
        `pixels` and `different`, counts, and `largest_margin`: the difference between the two best
        logits of mmsegmentation, at its largest among the differing pixels; 0 without any.
    """
    pixels = different = 0
    largest = 0.0
    for mine, theirs in zip(ours, upstream, strict=True):
        unequal = mine.pred_sem_seg.data[0] != theirs.pred_sem_seg.data[0]
        pixels += unequal.numel()
        different += int(unequal.sum())
        if unequal.any():
            margins = logit_margin(theirs.seg_logits.data[None, :, unequal].float())
            largest = max(largest, float(margins.max()))
    return dict(pixels=pixels, different=different, largest_margin=largest)
