"""Make a model ready to be given away: python tools/publish.py CONFIG CHECKPOINT --out DIR."""

import argparse

from mmseg_pointrend.apis.console import ToolParser, add_config_options, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Write a checkpoint's weights without optimizer and logs, with a checksum in "
        "the name, the whole config, and a model card (README.md) into a folder."
    )
    parser.add_argument("config", help="config file, or the name of a config")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--metrics",
        metavar="FILE.json",
        help="numbers for the card, as tools/test.py writes them into its work dir (default: what "
        "the training measured, if its logs lie beside the checkpoint)",
    )
    parser.add_argument(
        "--safetensors", action="store_true", help="write the weights as safetensors, too"
    )
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Publish."""
    args = parse_args()
    from mmseg_pointrend.apis.publishing import publish

    written = publish(
        args.config, args.checkpoint, args.out, args.metrics, args.safetensors, args.cfg_options
    )
    for path in (*written.weights, written.config, written.card):
        print(f"Written: {path}")


if __name__ == "__main__":
    main()
