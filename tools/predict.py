"""Predict pictures: python tools/predict.py CONFIG CHECKPOINT PICTURES... --out DIR."""

import argparse
import os
import sys

from mmseg_pointrend.apis.console import (
    ToolParser,
    add_config_options,
    add_network_options,
    add_unset_option,
    command_line_tool,
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Predict label maps of pictures: class indices from 0, as PNG; with a detector "
        "their objects: boxes, classes, scores and masks, as JSON in COCO's form. What is "
        "finished in DIR is not predicted again, so the same command goes on where it stopped."
    )
    add = parser.add_argument
    add("config", help="config file, or the name of a config")
    add("checkpoint", help="checkpoint file")
    add(
        "inputs",
        nargs="+",
        metavar="PICTURES",
        help="files; folders, with all folders in them; patterns, in quotes; lists of files (.txt, "
        "one path a line, relative to the list)",
    )
    add(
        "--out",
        required=True,
        metavar="DIR",
        help="folder: label maps go to DIR/labels, objects to DIR/instances; for a single label "
        "map also FILE.png",
    )
    add("--overlays", action="store_true", help="write painted pictures, too, to DIR/overlays")
    add(
        "--score",
        type=float,
        metavar="S",
        help="of objects: leave out those that are less sure, in overlays too (default: 0.3)",
    )
    add(
        "--confidence",
        action="store_true",
        help="write 255 times the probability of each pixel's class, too, to DIR/confidence",
    )
    add(
        "--no-palette",
        action="store_true",
        help="write grey label maps, without the classes' colours: OpenCV reads those as colours",
    )
    add(
        "--window",
        nargs=2,
        type=int,
        metavar=("H", "W"),
        help="predict in sliding windows of H x W pixels, in little memory, at the picture's "
        "native size: the test pipeline's resizing is left out (default: as the config tests)",
    )
    add(
        "--stride",
        nargs=2,
        type=int,
        metavar=("H", "W"),
        help="pixels from one window to the next (default: two thirds of the window)",
    )
    add(
        "--batch-size",
        type=int,
        default=1,
        help="pictures at a time, if their sizes are equal (default: %(default)s)",
    )
    add("--workers", type=int, default=0, help="processes that read ahead (default: %(default)s)")
    add(
        "--share",
        metavar="K/N",
        help="predict every N-th picture from the K-th on, K from 0 to N - 1 (default: all; with "
        "torchrun each process takes its share)",
    )
    add(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="share the work among the machines of a Ray cluster (default address: the one that is "
        "running, or else this machine)",
    )
    add("--overwrite", action="store_true", help="replace what another model predicted in DIR")
    add("--device", help="cpu, cuda or cuda:1 (default: cuda if there is one)")
    add_network_options(parser)
    add_unset_option(parser)
    add_config_options(parser)
    args = parser.parse_args()
    args.single = args.out.lower().endswith(".png")
    if args.single:
        _check_single(parser, args)
    return args


def _check_single(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Find what goes with a folder only."""
    if len(args.inputs) > 1 or os.path.isdir(args.inputs[0]):
        parser.error(f"--out must be a folder for several pictures, got {args.out}")
    for name in ("overlays", "confidence", "score", "share", "ray", "overwrite"):
        if getattr(args, name) not in (None, False):
            parser.error(f"--{name} needs a folder, --out DIR, got {args.out}")


@command_line_tool
def main() -> None:
    """Predict."""
    args = parse_args()
    from mmseg_pointrend.apis.prediction import NetworkSettings, predict, predict_many

    common = dict(
        window=args.window,
        stride=args.stride,
        device=args.device,
        options=args.cfg_options,
        allow_unset=args.allow_unset,
        colored=not args.no_palette,
        network=NetworkSettings(args.amp, args.half, args.compile, args.fold, args.fast),
    )
    if args.single:
        predict(args.config, args.checkpoint, args.inputs[0], args.out, **common)
        print(f"Written: {args.out}")
        return
    report = predict_many(
        args.config,
        args.checkpoint,
        args.inputs,
        args.out,
        batch_size=args.batch_size,
        workers=args.workers,
        overlays=args.overlays,
        confidence=args.confidence,
        score=args.score,
        overwrite=args.overwrite,
        share=args.share,
        ray=args.ray,
        **common,
    )
    sys.exit(128 + report.stopped if report.stopped else int(bool(report.failures)))


if __name__ == "__main__":
    main()
