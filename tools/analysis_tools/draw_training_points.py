"""Draw how training points are chosen: python tools/analysis_tools/draw_training_points.py."""

import argparse

from mmseg_pointrend.apis.console import ToolParser, add_config_options, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Draw a coarse prediction and the training points that each strategy of the "
        "paper's Fig. 5 chooses on it. By default the prediction is that of a generated scene; "
        "with --config, --checkpoint and --image it is a model's."
    )
    parser.add_argument("--out", required=True, metavar="FILE", help=".png, .pdf or .svg")
    parser.add_argument("--config", help="config file of a PointRend model")
    parser.add_argument("--checkpoint", help="its weights")
    parser.add_argument("--image", help="image file")
    parser.add_argument(
        "--num-points", type=int, default=196, help="N (default: %(default)s, as in the paper)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random points; default: 0")
    parser.add_argument("--device", help="cpu, cuda or cuda:<number> (default: cuda if there)")
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Draw and write."""
    args = parse_args()
    from mmseg_pointrend.lab.figures.training_points import draw_training_points

    draw_training_points(
        args.out,
        config_path=args.config,
        checkpoint=args.checkpoint,
        image=args.image,
        num_points=args.num_points,
        seed=args.seed,
        device=args.device,
        options=args.cfg_options,
    )
    print(f"Written: {args.out}")


if __name__ == "__main__":
    main()
