"""Repeat the paper's ablations: python tools/ablate.py SWEEP... [--config CONFIG]."""

import argparse
import signal
import sys

from mmseg_pointrend.apis.console import ToolParser, add_config_options, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Train and test the variants of sweeps, several at a time, and write a table "
        "(SWEEP.csv, SWEEP.md) and a plot (SWEEP.png) of each. Called again, it goes on where it "
        "stopped; what one sweep has trained the others do not train again. Exit status 1: some "
        "runs failed.",
    )
    parser.add_argument(
        "sweeps", nargs="*", metavar="SWEEP", help="what to compare, or: all (that fit the config)"
    )
    parser.add_argument("--list", action="store_true", help="list the sweeps and their variants")
    parser.add_argument("--work-dir", help="default: work_dirs/ablation/<config's name>")
    parser.add_argument(
        "--seeds",
        nargs="+",
        type=int,
        default=[0],
        help="of the trainings; several give means and standard deviations (default: 0)",
    )
    parser.add_argument("--iterations", type=int, help="of each training (default: the config's)")
    parser.add_argument("--workers", type=int, help="runs at a time (default: 2, with Slurm all)")
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--config", help="a PointRend model's (default: the demo's, on busy scenes)")
    model.add_argument(
        "--instance",
        action="store_true",
        help="instance masks: the demo's Mask R-CNN with PointRend, on its scenes",
    )
    parser.add_argument(
        "--slurm",
        metavar="PARTITION",
        help="start each run by srun; GPUS, CPUS_PER_TASK and SRUN_ARGS may be set",
    )
    add_config_options(parser)
    args = parser.parse_args()
    if not args.sweeps and not args.list:
        parser.error("SWEEP is missing; --list lists them")
    return args


@command_line_tool
def main() -> None:
    """Run the sweeps, or list what there is."""
    args = parse_args()
    from mmseg_pointrend.lab.ablation import demo_config, describe_sweeps, run_sweeps

    names = None if args.sweeps in ([], ["all"]) else args.sweeps
    config = args.config or demo_config(args.instance)
    if args.list:
        print(describe_sweeps(names, config, args.cfg_options))
        return
    try:
        failed = run_sweeps(
            names,
            work_dir=args.work_dir,
            seeds=args.seeds,
            iterations=args.iterations,
            workers=args.workers,
            config_path=config,
            slurm=args.slurm,
            options=args.cfg_options,
        )
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
