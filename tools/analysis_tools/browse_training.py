"""Draw training pictures as the pipeline makes them, with their labels."""

import argparse

from mmseg_pointrend.apis.console import ToolParser, add_config_options, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Draw what a config's training pipeline makes of pictures, and their labels "
        "painted over it."
    )
    parser.add_argument("config", help="config file, or the name of a config")
    parser.add_argument("--out", required=True, metavar="DIR", help="for the pictures (JPEG)")
    parser.add_argument("--count", type=int, default=10, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of crops and colours; default: 0")
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Draw and write."""
    args = parse_args()
    from mmseg_pointrend.lab.figures.training_pictures import draw_training_pictures

    files = draw_training_pictures(args.config, args.out, args.count, args.seed, args.cfg_options)
    print(f"Written: {len(files)} pictures in {args.out}")


if __name__ == "__main__":
    main()
