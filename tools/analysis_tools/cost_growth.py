"""Plot how rendering's cost grows: python tools/analysis_tools/cost_growth.py --out DIR."""

import argparse

from mmseg_pointrend.apis.console import ToolParser, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Measure time and memory from coarse logits to labels against output pixels, "
        "classes and points: labels rendered here, mmsegmentation's rendering, and the point head "
        "at every pixel. On the CPU, with random weights and logits made from a generated scene."
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="for cost_growth.csv/png/svg")
    parser.add_argument("--quick", action="store_true", help="smaller pictures, one run each")
    parser.add_argument("--threads", type=int, help="threads of the CPU (default: torch's choice)")
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Measure, write and draw."""
    args = parse_args()
    from mmseg_pointrend.lab.benchmark.cost_growth import FULL, QUICK, measure_growth
    from mmseg_pointrend.lab.benchmark.cost_growth_plot import format_growth, write_growth

    rows = measure_growth(QUICK if args.quick else FULL, threads=args.threads)
    print(format_growth(rows))
    print("\nWritten: " + ", ".join(str(path) for path in write_growth(rows, args.out)))


if __name__ == "__main__":
    main()
