"""List the configs of this project by name: python tools/list_configs.py [PATTERN]."""

import argparse
import sys

from mmseg_pointrend.apis import list_configs
from mmseg_pointrend.apis.console import ToolParser, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="List the names of the configs that come with this project; every tool takes "
        "them in the place of a file."
    )
    parser.add_argument("pattern", nargs="?", default="*", help='in quotes, as "*cityscapes*"')
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """List."""
    pattern = parse_args().pattern
    names = list_configs(pattern)
    if not names:
        sys.exit(f"error: pattern {pattern} fits no config; without a pattern all are listed")
    print("\n".join(names))


if __name__ == "__main__":
    main()
