"""Train a config: python tools/train.py configs/pointrend/<config>.py."""

import argparse

from mmseg_pointrend.apis.console import ToolParser, add_runner_options, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(description="Train a segmentor.")
    parser.add_argument("config", help="config file, or the name of a config")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="go on from a checkpoint, or without a value from the latest one in the work dir",
    )
    parser.add_argument("--amp", action="store_true", help="train in mixed precision")
    add_runner_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Train."""
    args = parse_args()
    from mmseg_pointrend.apis.training import train

    train(
        args.config,
        work_dir=args.work_dir,
        resume=args.resume,
        amp=args.amp,
        options=args.cfg_options,
        launcher=args.launcher,
        local_rank=args.local_rank,
    )


if __name__ == "__main__":
    main()
