"""Test a checkpoint: python tools/test.py configs/pointrend/<config>.py CHECKPOINT."""

import argparse

from mmseg_pointrend.apis.console import (
    ToolParser,
    add_network_options,
    add_runner_options,
    add_unset_option,
    command_line_tool,
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(description="Test (and evaluate) a segmentor.")
    parser.add_argument("config", help="config file, or the name of a config")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="write the predicted label maps there (PNG), or of objects COCO results (JSON)",
    )
    parser.add_argument("--show-dir", metavar="DIR", help="write painted images there")
    parser.add_argument(
        "--tta", action="store_true", help="test-time augmentation: several scales, and flipped"
    )
    add_network_options(parser)
    add_unset_option(parser)
    add_runner_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Test."""
    args = parse_args()
    from mmseg_pointrend.apis.testing import NetworkSettings, test

    test(
        args.config,
        args.checkpoint,
        work_dir=args.work_dir,
        out=args.out,
        show_dir=args.show_dir,
        tta=args.tta,
        options=args.cfg_options,
        launcher=args.launcher,
        local_rank=args.local_rank,
        allow_unset=args.allow_unset,
        network=NetworkSettings(args.amp, args.half, args.compile, args.fold, args.fast),
    )


if __name__ == "__main__":
    main()
