"""Draw what PointRend changes: python tools/analysis_tools/draw_comparison.py."""

import argparse

from mmseg_pointrend.apis.console import ToolParser, add_config_options, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Draw what a PointRend model renders of its test data beside its coarse "
        "prediction, enlarged where they differ: a label map and the points of each step, or the "
        "masks of objects."
    )
    parser.add_argument("config", help="config file of a PointRend model")
    parser.add_argument("checkpoint", help="its weights")
    parser.add_argument("--out", required=True, metavar="FILE", help="PNG file to write")
    parser.add_argument(
        "--baseline",
        nargs=2,
        metavar=("CONFIG", "CHECKPOINT"),
        help="of objects: a model without PointRend, whose masks are drawn and compared, too",
    )
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Draw and write."""
    args = parse_args()
    from mmseg_pointrend.lab.figures.comparison import draw_comparison

    draw_comparison(
        args.config,
        args.checkpoint,
        args.out,
        baseline=args.baseline and tuple(args.baseline),
        options=args.cfg_options,
    )
    print(f"Written: {args.out}")


if __name__ == "__main__":
    main()
