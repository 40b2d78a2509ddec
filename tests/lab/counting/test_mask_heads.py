"""The paper's Table 2: what mask heads cost for a box, worked out by hand."""

import json
from pathlib import Path

import pytest

from mmseg_pointrend.lab.counting.mask_heads import PAPER, count_mask_heads

CONFIGS = Path(__file__).parents[3] / "configs/mask_rcnn"
NAME = "mask-rcnn_r50-caffe_fpn_ms-1x_coco.py"

# Of 4x conv at 28x28: four 3x3 and one 2x2 transposed convolution of 256 channels, 80 classes.
CONV = 14**2 * 4 * 9 * 256**2 + 14**2 * 4 * 256**2 + 28**2 * 256 * 80
CONV_ACTIVATIONS = (1 + 4) * 14**2 * 256 + 28**2 * (256 + 80)
# Of the coarse head: a 2x2 convolution of stride 2, and three linear layers.
COARSE = 7**2 * 4 * 256**2 + 7**2 * 256 * 1024 + 1024**2 + 1024 * 80 * 7**2
COARSE_ACTIVATIONS = 7**2 * 256 + 2 * 1024 + 80 * 7**2


def of_points(classes: int) -> tuple[int, int]:
    """Multiply-adds and activations of 784 points: features of 256 + 80 numbers in each layer."""
    return 784 * (256 + 80) * (3 * 256 + classes), 784 * (3 * 256 + classes)


def test_counts_are_those_worked_out_and_the_papers() -> None:
    small, large, every, one = count_mask_heads(CONFIGS / f"pointrend-{NAME}")
    assert (small.multiply_adds, small.activations) == (CONV, CONV_ACTIVATIONS)
    assert (large.multiply_adds, large.activations) == (64 * CONV, 64 * CONV_ACTIVATIONS)
    # One class's logit is the sum of two products: of the hidden layer, and of the coarse logits.
    for head, classes, outputs in ((every, 80, 80), (one, 1, 2)):
        adds, _ = of_points(classes)
        _, activations = of_points(outputs)
        # 28x28 is predicted in full; three steps follow.
        assert head.multiply_adds == COARSE + 4 * adds
        assert head.at_a_time == COARSE_ACTIVATIONS + activations
        assert head.activations == COARSE_ACTIVATIONS + 4 * activations
    for head in (small, large, every):
        assert head.paper == PAPER[head.name]
        adds, activations = head.paper
        # As many digits as the paper prints.
        assert head.multiply_adds / 1e9 == pytest.approx(adds, abs=0.05 if adds < 1 else 0.5)
        assert head.at_a_time / 1e6 == pytest.approx(
            activations, abs=0.05 if activations < 1 else 0.5
        )


def test_a_baseline_and_a_cascade_are_counted(call_tool, tmp_path: Path) -> None:
    tool, path = "analysis_tools/get_flops.py", tmp_path / "counts.json"
    printed = call_tool(tool, CONFIGS / NAME, "--boxes", 50, "--json", path)
    assert "4x conv, 28x28" in printed and "PointRend" not in printed
    assert "Mask heads, 50 boxes" in printed and f"{50 * CONV / 1e9:.1f}" in printed
    assert [head["multiply_adds"] for head in json.loads(path.read_text())] == [CONV, 64 * CONV]
    cascade = "pointrend-cascade-mask-rcnn_r50-caffe_fpn_ms-3x_coco.py"
    assert "PointRend, 224x224, one class" in call_tool(tool, CONFIGS / cascade)
    errors = call_tool.fail(tool, CONFIGS / NAME, "--shape", 64, 64)
    assert "error: shape: what a mask head costs for a box" in errors
