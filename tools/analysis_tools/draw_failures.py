"""Draw where PointRend makes it worse: the windows in which rendering loses most."""

import argparse

from mmseg_pointrend.apis.console import ToolParser, add_config_options, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Predict a config's test pictures; draw the windows in which rendering makes "
        "most pixels wrong that the coarse map had right, and say how much is gained and lost."
    )
    parser.add_argument("config", help="config file of a PointRend model, or the name of a config")
    parser.add_argument("checkpoint", help="its weights")
    parser.add_argument("--out", required=True, metavar="FILE", help="PNG file to write")
    parser.add_argument("--count", type=int, default=6, help="windows (default: 6)")
    parser.add_argument("--device", help="cpu, cuda or cuda:<number> (default: cuda if there)")
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Draw, print and write."""
    args = parse_args()
    from mmseg_pointrend.lab.figures.failures import draw_failures

    print(
        draw_failures(
            args.config,
            args.checkpoint,
            args.out,
            count=args.count,
            device=args.device,
            options=args.cfg_options,
        )
    )
    print(f"Written: {args.out}")


if __name__ == "__main__":
    main()
