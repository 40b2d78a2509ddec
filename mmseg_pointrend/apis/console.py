"""What command-line tools share: one clear line for a user's mistake, a traceback for a bug."""

import argparse
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

from mmseg_pointrend import compat

PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep

#: Set this environment variable to see the traceback of every error.
TRACEBACK_VARIABLE = "POINTREND_TRACEBACK"

_USER_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    FileNotFoundError,
    ConnectionError,
    ImportError,
)
# Where a mistake in a config surfaces that only the library can notice.
_CONFIG_MODULES = ("mmengine.config", "mmengine.registry")


def command_line_tool(main: Callable[[], None]) -> Callable[[], None]:
    """Decorate a tool's `main`: mistakes of the user end it with one line and exit status 2.

    A mistake of the user is an error that this package raises on purpose, or one in the text of a
    config. Anything else is a bug and keeps its traceback.
    """

    @functools.wraps(main)
    def run() -> None:
        try:
            compat.setup()
            main()
        except _USER_ERRORS as error:
            if os.environ.get(TRACEBACK_VARIABLE) or not _is_user_mistake(error):
                raise
            sys.stdout.flush()
            sys.exit(_report(error))

    return run


def add_runner_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share, named as in OpenMMLab's tools."""
    parser.add_argument(
        "--work-dir", help="where logs and results go (default: work_dirs/<config's name>)"
    )
    add_config_options(parser)
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="how distributed processes are started (default: none, a single process)",
    )
    # torchrun sets LOCAL_RANK; older launchers pass it as an argument.
    parser.add_argument("--local_rank", "--local-rank", type=int, help=argparse.SUPPRESS)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add the option that overrides settings of a config, named as in OpenMMLab's tools."""
    from mmengine.config import DictAction

    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        metavar="KEY=VALUE",
        help="override settings of the config, e.g. model.decode_head.subdivision.steps=3",
    )


def _report(error: Exception) -> int:
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, ConnectionError):
        message += (
            "; give a local file with --cfg-options model.pretrained=FILE, or start from random "
            "weights with model.pretrained=None"
        )
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _is_user_mistake(error: Exception) -> bool:
    frame, module, filename = error.__traceback__, "", ""
    while frame is not None:
        module = frame.tb_frame.f_globals.get("__name__", "")
        filename = frame.tb_frame.f_code.co_filename
        frame = frame.tb_next
    return filename.startswith(PACKAGE) or module.startswith(_CONFIG_MODULES)
