"""Compare predictions in half precision, and with BatchNorms folded, with those in float32."""

import argparse

from mmseg_pointrend.apis.console import ToolParser, add_config_options, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Predict a config's test pictures in float32 and as with --fold, --amp and "
        "--half of tools/predict.py: how many labels differ, and the mIoU of each."
    )
    parser.add_argument("config", help="config file, or the name of a config")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--device", help="cpu, cuda or cuda:<number> (default: cuda if there)")
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Predict and print."""
    args = parse_args()
    from mmseg_pointrend.lab.precision import compare_precisions, format_precisions

    found = compare_precisions(args.config, args.checkpoint, args.device, args.cfg_options)
    print(format_precisions(found))


if __name__ == "__main__":
    main()
