"""Run lengths of masks and their boundaries, beside pycocotools and whole pictures."""

import numpy as np
import pytest
import torch
from pycocotools import mask as mask_tools

from mmseg_pointrend.evaluation.functional import inner_boundary, mask_boundary
from mmseg_pointrend.instance.evaluation.run_lengths import (
    cropped_boundary,
    cropped_iou,
    cropped_mask,
    decode_counts,
    encode_masks,
)


def awkward_masks(size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """Nothing, everything, a pixel in each corner, a whole column, noise, blobs."""
    rng = torch.Generator().manual_seed(seed)
    masks = torch.zeros(12, *size, dtype=torch.bool)
    masks[1] = True
    for number, (y, x) in enumerate([(0, 0), (0, -1), (-1, 0), (-1, -1)], 2):
        masks[number, y, x] = True
    masks[6, :, size[1] // 2] = True
    # Ends at the foot of a column, and goes on at the head of the next.
    masks[7, size[0] // 2 :, 0] = True
    masks[7, : size[0] // 2, 1 % size[1]] = True
    for number in range(8, 11):
        masks[number] = torch.rand(*size, generator=rng) < (number - 7) / 4
    masks[11, size[0] // 4 : -1, 1:] = True
    return masks


@pytest.mark.parametrize("size", [(7, 11), (1, 1), (1, 9), (13, 1), (37, 41)])
def test_masks_are_encoded_as_pycocotools_does(size):
    masks = awkward_masks(size)
    expected = mask_tools.encode(np.asfortranarray(masks.permute(1, 2, 0).numpy(), np.uint8))
    assert encode_masks(masks) == expected
    assert encode_masks(masks.to(torch.uint8)) == expected
    assert encode_masks(masks[:0]) == []


@pytest.mark.parametrize("distance", [1, 2, 5, 40])
@pytest.mark.parametrize("size", [(7, 11), (1, 1), (37, 41)])
def test_boundaries_by_boxes_are_those_of_whole_pictures(size, distance):
    masks = awkward_masks(size)
    inner = inner_boundary(masks.long(), distance) & masks
    torch.testing.assert_close(mask_boundary(masks, distance), inner)
    for rle, expected in zip(encode_masks(masks), inner, strict=True):
        crop = cropped_boundary(cropped_mask(rle), distance)
        whole = np.zeros(size, bool)
        height, width = crop.pixels.shape
        whole[crop.top : crop.top + height, crop.left : crop.left + width] = crop.pixels
        np.testing.assert_array_equal(whole, expected.numpy())


def test_iou_by_boxes_is_pycocotools():
    masks = encode_masks(awkward_masks((19, 23)))
    expected = mask_tools.iou(masks, masks, [0] * len(masks))
    crops = [cropped_mask(rle) for rle in masks]
    ours = [[cropped_iou(a, b) for b in crops] for a in crops]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


def test_compressed_run_lengths_are_decoded():
    rng = np.random.default_rng(3)
    for density in (0.0, 0.02, 0.5, 0.98, 1.0):
        mask = rng.random((211, 173)) < density
        flat = mask.ravel(order="F").astype(np.int8)
        changes = np.flatnonzero(np.diff(flat, prepend=0))
        expected = np.diff([0, *changes, flat.size])
        encoded = mask_tools.encode(np.asfortranarray(mask, np.uint8))["counts"]
        assert decode_counts(encoded).tolist() == expected.tolist()
        assert decode_counts(encoded.decode()).tolist() == expected.tolist()


@pytest.mark.parametrize("text", ["", "!!", "0q", "0P", "PPPPPPPP0"])
def test_broken_run_lengths_are_refused(text):
    with pytest.raises(ValueError, match="no compressed run lengths"):
        decode_counts(text)
