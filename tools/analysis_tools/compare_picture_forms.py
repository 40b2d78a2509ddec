"""Compare the forms in which a point head can read the picture, heads that learn side by side."""

import argparse
from pathlib import Path

from mmseg_pointrend.apis.console import ToolParser, add_config_options, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Train a model as its config says and, beside it, a point head for each form "
        "in which the picture can be a fine-grained map; test each of them."
    )
    add = parser.add_argument
    add("config", help="config file of a PointRend model")
    add("--seeds", nargs="+", type=int, default=[0], help="of the trainings (default: 0)")
    add("--iterations", type=int, help="length of a training (default: the config's)")
    add("--work-dir", default="work_dirs/picture", help="default: %(default)s")
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Train, test, write picture.csv after each seed, and print the means."""
    args = parse_args()
    from mmseg_pointrend.lab.ablation.results_table import format_csv, format_markdown
    from mmseg_pointrend.lab.picture_forms import compare_picture_forms

    folder, rows = Path(args.work_dir), []
    for seed in args.seeds:
        rows += compare_picture_forms(
            args.config, seed, folder / f"seed-{seed}", args.iterations, args.cfg_options
        )
        (folder / "picture.csv").write_text(format_csv(rows))
    print(format_markdown(rows))


if __name__ == "__main__":
    main()
