"""Predict an image of any size: python tools/predict.py CONFIG CHECKPOINT IMAGE --out FILE.png."""

import argparse

from mmseg_pointrend.apis.console import add_config_options, add_unset_option, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Predict the label map of an image file.")
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("image", help="image file")
    parser.add_argument(
        "--out", required=True, metavar="FILE.png", help="label map: class indices from 0"
    )
    parser.add_argument(
        "--window",
        nargs=2,
        type=int,
        metavar=("H", "W"),
        help="predict in sliding windows of H x W pixels, in little memory, at the image's native "
        "size: the test pipeline's resizing is left out (default: as the config tests)",
    )
    parser.add_argument(
        "--stride",
        nargs=2,
        type=int,
        metavar=("H", "W"),
        help="pixels from one window to the next (default: two thirds of the window)",
    )
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: cuda if there is one)")
    add_unset_option(parser)
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Predict."""
    args = parse_args()
    from mmseg_pointrend.apis.prediction import predict

    predict(
        args.config,
        args.checkpoint,
        args.image,
        args.out,
        window=args.window,
        stride=args.stride,
        device=args.device,
        options=args.cfg_options,
        allow_unset=args.allow_unset,
    )
    print(f"Written: {args.out}")


if __name__ == "__main__":
    main()
