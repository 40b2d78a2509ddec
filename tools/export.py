"""Export a model: python tools/export.py configs/pointrend/<config>.py CHECKPOINT --format onnx."""

import argparse
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
        description="Write a model as a file that runs without this project: pictures in, labels "
        "out, rendering included. Its labels are then compared with those of torch."
    )
    add = parser.add_argument
    add("config", help="config file")
    add("checkpoint", help="checkpoint file")
    add(
        "--format",
        choices=["onnx", "torch", "page"],
        default="onnx",
        help="an ONNX file, a program of torch.export, or a page that segments pictures in a "
        "browser (default: %(default)s)",
    )
    add("--out", metavar="FILE", help="default: the config's name, in the current folder")
    add(
        "--order",
        choices=["rgb", "bgr"],
        default="rgb",
        help="of the pictures' channels (default: %(default)s)",
    )
    add(
        "--pixels",
        choices=["uint8", "float32"],
        help="type of the pictures' pixels, from 0 to 255 (default: uint8)",
    )
    add(
        "--normalized",
        action="store_true",
        help="pictures come normalised, as float32 and in the network's order of channels; what "
        "they are to be normalised by is written in the file",
    )
    add("--labels", choices=["uint8", "int32"], help="default: the first that holds all classes")
    add("--confidence", action="store_true", help="give each pixel's probability, too")
    add(
        "--size",
        nargs=2,
        type=int,
        metavar=("HEIGHT", "WIDTH"),
        help="fix the size of pictures (default: any)",
    )
    add("--batch", type=int, help="fix the number of pictures (default: any)")
    add(
        "--most-at-once",
        type=int,
        metavar="K",
        help="choose uncertain pixels by several top-k of at most K (3840 for TensorRT); the "
        "selection is the same",
    )
    add("--opset", type=int, default=18, help="of ONNX (default: %(default)s; see docs/export.md)")
    add(
        "--external-data",
        action="store_true",
        help="of ONNX: weights in a file of their own; more than 1.8 GB are in any case",
    )
    add(
        "--int8",
        nargs="+",
        default=(),
        metavar="PICTURES",
        help="of ONNX: compute convolutions in 8 bits, calibrated on such pictures (files, "
        "folders, patterns, lists); the share of labels that change is said at the end",
    )
    add(
        "--runtime",
        metavar="DIR",
        help="of a page: the folder of npm's onnxruntime-web (default: npm fetches it)",
    )
    add_unset_option(parser)
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Export."""
    args = parse_args()
    from mmseg_pointrend.apis.exporting import (
        GraphSettings,
        OnnxSettings,
        PictureFormat,
        Sizes,
        export,
    )

    pixels = args.pixels or ("float32" if args.normalized else "uint8")
    exported = export(
        args.config,
        args.checkpoint,
        args.out,
        args.format,
        GraphSettings(
            PictureFormat(args.order, pixels, args.normalized),
            args.labels,
            args.confidence,
            args.most_at_once,
        ),
        Sizes(args.batch, args.size and tuple(args.size)),
        OnnxSettings(args.opset, args.external_data, args.int8),
        args.cfg_options,
        args.allow_unset,
        args.runtime,
    )
    for file in exported.files:
        print(f"Written: {file}, {Path(file).stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
