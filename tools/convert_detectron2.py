"""Convert detectron2's weights: python tools/convert_detectron2.py WEIGHTS.pkl OUT.pth."""

import argparse

from mmseg_pointrend.apis.console import ToolParser, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Write detectron2's weights of a PointRend model as a checkpoint: those of "
        "SemanticFPN for pointrend_r101-caffe in configs/pointrend, those of Mask R-CNN for "
        "configs/mask_rcnn. The file is opened without running what is in it."
    )
    parser.add_argument(
        "weights", help="pickle file, as detectron2 publishes it, or a checkpoint of its trainer"
    )
    parser.add_argument("out", help="checkpoint file to write")
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Convert."""
    args = parse_args()
    from mmseg_pointrend.apis.conversion import convert_from_detectron2

    number = convert_from_detectron2(args.weights, args.out)
    print(f"Written: {number} weights to {args.out}")


if __name__ == "__main__":
    main()
