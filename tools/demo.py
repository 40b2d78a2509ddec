"""Show on generated scenes what PointRend gains: python tools/demo.py (or: make demo)."""

import argparse
from pathlib import Path

from mmseg_pointrend.apis.console import command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Generate scenes, train a small PointRend and its baseline, compare them."
    )
    parser.add_argument("--work-dir", default="work_dirs/demo", help="default: %(default)s")
    parser.add_argument("--data-root", default="data/demo_scenes", help="default: %(default)s")
    parser.add_argument(
        "--seeds",
        nargs="+",
        type=int,
        default=[0],
        help="seeds of the training; several give means and standard deviations (default: 0)",
    )
    parser.add_argument("--iterations", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--num-train", type=int, default=240, help="default: %(default)s scenes")
    parser.add_argument("--num-val", type=int, default=60, help="default: %(default)s scenes")
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Run the demonstration."""
    args = parse_args()
    from mmseg_pointrend.apis.demo import demo, demo_over_seeds, format_table

    settings = dict(
        data_root=args.data_root,
        iterations=args.iterations,
        num_train=args.num_train,
        num_val=args.num_val,
    )
    if len(args.seeds) == 1:
        reports = [demo(args.work_dir, seed=args.seeds[0], **settings)]
        print(f"\nWritten: {Path(args.work_dir) / 'report.json'} and comparison.png beside it\n")
    else:
        reports = demo_over_seeds(args.seeds, args.work_dir, **settings)
        print(f"\n{len(reports)} seeds, mean ± standard deviation\n")
    print(format_table(reports))


if __name__ == "__main__":
    main()
