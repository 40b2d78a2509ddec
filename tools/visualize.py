"""Look at every step of a rendering: python tools/visualize.py CONFIG CHECKPOINT PICTURES..."""

import argparse

from mmseg_pointrend.apis.console import (
    ToolParser,
    add_config_options,
    add_unset_option,
    command_line_tool,
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Show what each step of a rendering does: for each picture a page that a "
        "browser opens without a network (steps, zoom, before and after, the numbers of every "
        "pixel), and an image with the steps side by side."
    )
    add = parser.add_argument
    add("config", help="config file, or the name of a config, of a PointRend")
    add("checkpoint", help="its weights")
    add("pictures", nargs="*", metavar="PICTURES", help="files, folders, patterns or lists (.txt)")
    add(
        "--truth",
        nargs="+",
        default=(),
        metavar="FILE",
        help="label map of each picture: PNG of class indices; what is right and wrong is shown",
    )
    add(
        "--test-data",
        nargs="+",
        type=int,
        default=(),
        metavar="I",
        help="in place of pictures: numbers of pictures of the config's test data, from 0, with "
        "their truth",
    )
    add("--out", required=True, metavar="DIR", help="folder for the pages and images")
    add(
        "--score",
        type=float,
        metavar="S",
        help="of objects: leave out those that are less sure (default: 0.3)",
    )
    add("--device", metavar="D", help="where the model runs (default: a GPU if there is one)")
    add_unset_option(parser)
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Predict, and write what can be looked at."""
    args = parse_args()
    from mmseg_pointrend.apis.inferencer import PointRendInferencer
    from mmseg_pointrend.apis.visualization import visualize

    inferencer = PointRendInferencer(
        args.config,
        args.checkpoint,
        args.device,
        score=args.score,
        options=args.cfg_options,
        allow_unset=args.allow_unset,
    )
    visualize(inferencer, args.out, args.pictures, args.truth, args.test_data)


if __name__ == "__main__":
    main()
