"""Count which classes a model takes for which, on a config's test pictures."""

import argparse

from mmseg_pointrend.apis.console import ToolParser, add_config_options, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Predict a config's test pictures and count their pixels by true and predicted "
        "class."
    )
    parser.add_argument("config", help="config file, or the name of a config")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--out", metavar="FILE.csv", help="write the numbers of pixels there")
    parser.add_argument("--device", help="cpu, cuda or cuda:<number> (default: cuda if there)")
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Predict, print and write."""
    args = parse_args()
    from mmseg_pointrend.lab.confusion import (
        count_confusions,
        format_confusions,
        write_confusions,
    )

    names, found = count_confusions(args.config, args.checkpoint, args.device, args.cfg_options)
    print(format_confusions(names, found))
    if args.out:
        write_confusions(args.out, names, found)
        print(f"Written: {args.out}")


if __name__ == "__main__":
    main()
