"""Show on generated scenes what PointRend gains: python tools/demo.py (or: make demo)."""

import argparse
from pathlib import Path

from mmseg_pointrend.apis.console import ToolParser, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Generate scenes, train a small PointRend and its baseline, compare them."
    )
    parser.add_argument(
        "--instance", action="store_true", help="masks of Mask R-CNN, not label maps; needs mmdet"
    )
    parser.add_argument("--work-dir", help="default: work_dirs/demo, or work_dirs/demo_instance")
    parser.add_argument(
        "--data-root", help="default: data/calm_scenes, or data/demo_scenes_instance"
    )
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
    from mmseg_pointrend.lab.demo import choose_subject, demo, format_table

    subject, several = choose_subject(args.instance), len(args.seeds) > 1
    work_dir = Path(args.work_dir or f"work_dirs/demo{'_instance' if args.instance else ''}")
    reports = [
        demo(
            subject,
            work_dir / f"seed-{seed}" if several else work_dir,
            data_root=args.data_root or subject.data_root,
            seed=seed,
            iterations=args.iterations,
            num_train=args.num_train,
            num_val=args.num_val,
        )
        for seed in args.seeds
    ]
    print(f"\nWritten: report.json and comparison.png in {work_dir}{'/seed-*' if several else ''}")
    print("\nPercent, mean ± standard deviation\n" if several else "\nPercent\n")
    print(format_table(subject, reports))


if __name__ == "__main__":
    main()
