"""Compare the forms in which a model is shipped: python tools/analysis_tools/compare_exports.py."""

import argparse
import json
from pathlib import Path

from mmseg_pointrend.apis.console import ToolParser, add_config_options, command_line_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(
        description="Predict a config's test pictures by its model in torch, as a graph, as a "
        "program of torch.export, and by ONNX Runtime, in single precision and in 8 bits: quality, "
        "time, memory, and the size of the file."
    )
    add = parser.add_argument
    add("config", help="config file of a segmentor whose data have labels")
    add("checkpoint", help="its weights")
    add(
        "--pictures", type=int, metavar="N", help="of the test data, evenly from all (default: all)"
    )
    add(
        "--calibration",
        type=int,
        default=64,
        metavar="N",
        help="training pictures that 8 bits are calibrated on (default: %(default)s)",
    )
    add("--threads", type=int, default=1, metavar="T", help="of each form (default: %(default)s)")
    add("--compile", action="store_true", help="the compiled graph, too: it takes minutes")
    add("--no-memory", dest="memory", action="store_false", help="do not measure memory")
    add("--json", metavar="FILE", help="write everything that was measured there")
    add_config_options(parser)
    return parser.parse_args()


@command_line_tool
def main() -> None:
    """Measure and print."""
    args = parse_args()
    from mmseg_pointrend.lab.benchmark.exported_forms import (
        FormSettings,
        compare_forms,
        format_forms,
    )

    # The options have the names of the settings.
    options = vars(args)
    file = options.pop("json")
    report = compare_forms(FormSettings(options=options.pop("cfg_options"), **options))
    print(format_forms(report))
    if file:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
