"""Sharpen ESPNet's published CamVid model: python tools/analysis_tools/sharpen_espnet.py."""

import argparse

from mmseg_pointrend.apis.console import ToolParser, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Train a point head on ESPNet with its published CamVid weights, which stay as "
        "they are, and compare it with ESPNet's own decoder on the test pictures."
    )
    parser.add_argument("weights", help="espnet_p_2_q_8_camvid.pth, as its authors publish it")
    parser.add_argument("camvid", help="folder with train/, trainannot/, test/ and testannot/")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="default: 0")
    parser.add_argument("--iterations", type=int, default=2400, help="default: %(default)s")
    parser.add_argument(
        "--num-points",
        type=float,
        default=1 / 16,
        metavar="N",
        help="points of a subdivision step, a share of the pixels (default: %(default)s)",
    )
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Train and measure, seed by seed."""
    args = parse_args()
    from mmseg_pointrend.lab.espnet import Sharpening, sharpen

    for seed in args.seeds:
        settings = Sharpening(args.iterations, num_points=args.num_points, seed=seed)
        report = sharpen(args.weights, args.camvid, settings)
        print(f"seed {seed}, {report.pop('seconds')} s of training, percent:")
        for name, values in report.items():
            print(f"{name:10}" + "".join(f"{key:>12} {value:.2f}" for key, value in values.items()))


if __name__ == "__main__":
    main()
