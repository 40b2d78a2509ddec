"""Compare PointRend with what else sharpens its coarse map: filters, a CRF, flips and scales."""

import argparse

from mmseg_pointrend.apis.console import ToolParser, add_config_options, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Predict a config's test pictures from the same coarse logits by PointRend "
        "with several N, bilinearly, by guided filters, a dense CRF (if pydensecrf2 is installed), "
        "flips and scales: quality, time, and a picture of both.",
    )
    add = parser.add_argument
    add("config", help="config file of a PointRend model, or the name of a config")
    add("checkpoints", nargs="+", help="its weights; of several seeds: means and deviations")
    add("--out", default="work_dirs/alternatives", metavar="DIR", help="default: %(default)s")
    add(
        "--validation-pictures",
        type=int,
        default=20,
        metavar="N",
        help="pictures of val_dataloader on which filters' settings are chosen (default: 20)",
    )
    add(
        "--beside",
        nargs="+",
        default=[],
        metavar="RUNS",
        help="folders runs/<name> of tools/ablate.py: models that predict the same pictures, the "
        "n-th seed beside the n-th checkpoint",
    )
    add("--memory", action="store_true", help="measure memory, too, in processes of its own")
    add("--device", help="cpu, cuda or cuda:<number> (default: cuda if there)")
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Compare, print the table after each checkpoint, and write it."""
    args = parse_args()
    from mmseg_pointrend.lab.alternatives import compare_checkpoints

    for said in compare_checkpoints(
        args.config,
        args.checkpoints,
        args.out,
        device=args.device,
        options=args.cfg_options,
        validation_pictures=args.validation_pictures,
        memory=args.memory,
        beside=args.beside,
    ):
        print(said, flush=True)


if __name__ == "__main__":
    main()
