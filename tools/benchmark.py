"""Measure speed and memory: python tools/benchmark.py configs/pointrend/<config>.py."""

import argparse
import json
from pathlib import Path

from mmseg_pointrend.apis.console import (
    ToolParser,
    add_config_options,
    add_unset_option,
    command_line_tool,
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Measure how fast a model predicts or trains, where its time goes and how much "
        "memory it needs, on generated scenes; of an instance model (--boxes), its mask branch on "
        "random features. Needs no data; without a checkpoint, weights are random."
    )
    add = parser.add_argument
    add("config", help="config file, or the name of a config")
    add("checkpoint", nargs="?", help="checkpoint file (default: random weights)")
    add("--batch", type=int, default=1, help="images at a time (default: %(default)s)")
    add(
        "--shape",
        nargs="+",
        type=int,
        metavar="PIXELS",
        help="height and width of the network's input, or one number for a square (default: a test "
        "image after the test pipeline; with --train the training crop)",
    )
    add(
        "--ori-shape",
        nargs="+",
        type=int,
        metavar="PIXELS",
        help="height and width of the labels (default: as the input)",
    )
    add("--repeat", type=int, default=20, help="measured runs (default: %(default)s)")
    add("--warmup", type=int, default=3, help="runs before them (default: %(default)s)")
    add("--device", default="cpu", help="cpu, cuda or cuda:<number> (default: %(default)s)")
    add("--threads", type=int, help="threads of the CPU (default: as torch chooses)")
    add("--amp", action="store_true", help="mixed precision")
    add(
        "--compile",
        action="store_true",
        help="compile backbone, neck and coarse head; with --count: what compiled rendering stores",
    )
    add(
        "--channels-last",
        choices=["auto", "on", "off"],
        default="auto",
        help="order of our model's maps in memory (default: %(default)s, as the model chooses)",
    )
    add("--train", action="store_true", help="measure training steps instead of predictions")
    add(
        "--logits",
        choices=["scenes", "model", "random"],
        help="coarse logits to render: as of a trained network (default without a checkpoint), "
        "what the coarse head gives (default with one), or random ones, the worst case",
    )
    add(
        "--boxes",
        nargs="+",
        type=int,
        default=(),
        metavar="R",
        help="of an instance model: measure the masks of so many boxes, one number after the other",
    )
    add(
        "--versus",
        choices=["upstream", "coarse", "settings"],
        help="compare with mmsegmentation's PointRend (of an instance model, mmdet's) with the "
        "same weights, with the same model without PointRend, or whole predictions with the "
        "options --fold, --amp, --half and (given --compile) --compile of tools/predict.py",
    )
    add(
        "--count",
        action="store_true",
        help="time nothing; count what a GPU would be asked to do: kernel launches, host syncs, "
        "bytes, memory (needs no GPU)",
    )
    add(
        "--tta",
        action="store_true",
        help="with --count: test-time augmentation, the image in six sizes, each also mirrored",
    )
    add("--json", metavar="FILE", help="write everything that was measured there")
    add_unset_option(parser)
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Measure and print."""
    args = parse_args()
    from mmseg_pointrend.lab.benchmark.report import make_report
    from mmseg_pointrend.lab.benchmark.settings import Settings

    # The options have the names of the settings.
    options = vars(args)
    json_file = options.pop("json")
    settings = Settings(options=options.pop("cfg_options"), **options)
    report, text = make_report(settings)
    print(text)
    if json_file:
        path = Path(json_file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
