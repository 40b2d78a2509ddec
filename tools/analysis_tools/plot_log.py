"""Plot what trainings have logged: python tools/analysis_tools/plot_log.py WORK_DIR --out FILE."""

import argparse

from mmseg_pointrend.apis.console import ToolParser, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(description="Plot losses and metrics against iterations.")
    parser.add_argument("logs", nargs="+", help="work dirs, or scalars.json files in vis_data")
    parser.add_argument(
        "--keys", nargs="+", default=["loss"], help="what to plot, e.g. loss mIoU (default: loss)"
    )
    parser.add_argument("--out", required=True, metavar="FILE", help=".png, .pdf or .svg")
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Draw and write."""
    args = parse_args()
    from mmseg_pointrend.lab.figures.training_curves import draw_curves

    draw_curves(args.logs, args.keys, args.out)
    print(f"Written: {args.out}")


if __name__ == "__main__":
    main()
