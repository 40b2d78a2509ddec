"""Sharpen a trained model: python tools/retrofit.py BASE_CONFIG BASE_CHECKPOINT --out DIR."""

import argparse

from mmseg_pointrend.apis.console import ToolParser, add_config_options, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Train a point head on a model of mmsegmentation that stays as it is, and "
        "compare the model before and after: docs/retrofit.md."
    )
    parser.add_argument("config", help="config file of the base, an EncoderDecoder")
    parser.add_argument("checkpoint", help="its weights")
    parser.add_argument("--out", required=True, metavar="DIR", help="where everything is written")
    parser.add_argument("--iterations", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--lr", type=float, default=2e-3, help="of AdamW (default: %(default)s)")
    parser.add_argument(
        "--channels", type=int, default=128, help="of the point head (default: %(default)s)"
    )
    parser.add_argument(
        "--fine-strides",
        nargs="+",
        type=int,
        metavar="STRIDE",
        help="feature maps that the point head reads (default: the first of the finest)",
    )
    parser.add_argument(
        "--picture",
        type=int,
        default=3,
        metavar="SIDE",
        help="side of the window of the picture's pixels that a point reads; 0: none "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--num-points",
        type=_budget,
        default=1 / 16,
        metavar="N",
        help="points of a subdivision step: a number, a share of the pixels, or stride-16 "
        "(default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--resume", action="store_true", help="go on with the training in DIR")
    add_config_options(parser)
    return parser.parse_args()


def _budget(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@command_line_tool
def main() -> None:
    """Train, compare, and say what was written."""
    args = parse_args()
    from mmseg_pointrend.apis.retrofit import PointSettings, train_retrofit
    from mmseg_pointrend.lab.before_after import compare_before_after, format_before_after

    settings = PointSettings(
        iterations=args.iterations,
        learning_rate=args.lr,
        channels=args.channels,
        fine_strides=args.fine_strides,
        picture=args.picture,
        num_points=args.num_points,
        seed=args.seed,
    )
    base = (args.config, args.checkpoint)
    folder = train_retrofit(*base, args.out, settings, args.cfg_options, args.resume)
    report = compare_before_after(*base, folder, args.cfg_options)
    print(f"\n{format_before_after(report)}")
    print(f"\nWritten: report.json and comparison.png in {folder.path}")
    print(f"Test it: python tools/test.py {folder.config} {folder.checkpoint()}")


if __name__ == "__main__":
    main()
