"""Count a model's work: python tools/analysis_tools/get_flops.py configs/pointrend/<config>.py."""

import argparse
import json
from pathlib import Path

from mmseg_pointrend.apis.console import ToolParser, add_config_options, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Count parameters, multiply-adds and activations, stage by stage, of one image "
        "in training and in rendering; of a detector's mask head, of a box, beside the paper's "
        "Table 2. Needs no weights, no data and no GPU."
    )
    parser.add_argument("config", help="config file, or the name of a config")
    parser.add_argument(
        "--shape",
        nargs="+",
        type=int,
        metavar="PIXELS",
        help="height and width, or one number for a square, for training and rendering alike "
        "(default: the training crop; a test image after the test pipeline's resizing)",
    )
    parser.add_argument(
        "--boxes",
        type=int,
        default=100,
        help="of a detector: count its mask head for so many boxes, too (default: %(default)s)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the exact counts there")
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Count and print."""
    args = parse_args()
    from mmseg_pointrend.lab.counting.count import count_and_format

    text, counts = count_and_format(args.config, args.shape, args.boxes, args.cfg_options)
    print(text)
    if args.json:
        path = Path(args.json)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(counts, indent=2) + "\n")


if __name__ == "__main__":
    main()
