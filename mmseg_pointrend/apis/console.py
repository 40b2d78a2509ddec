"""What command-line tools share: one clear line for a user's mistake, a traceback for a bug."""

import argparse
import contextlib
import errno
import functools
import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from mmseg_pointrend.apis.shipped import list_configs
from mmseg_pointrend.compat.warnings_filter import hide_pkg_resources_warning

PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep

#: Set this environment variable to see the traceback of every error.
TRACEBACK_VARIABLE = "POINTREND_TRACEBACK"

#: Set by a shell that wants a command line to be completed (argcomplete).
COMPLETION_VARIABLE = "_ARGCOMPLETE"

_USER_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    FileNotFoundError,
    ConnectionError,
    ImportError,
)
# A full disk, a quota, a limit on the size of files, a folder that must not be written to.
_MACHINE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
# Where a mistake in a config surfaces that only the library can notice.
_CONFIG_MODULES = ("mmengine.config", "mmengine.registry", "mmengine.optim", "torch.optim")
# How torch hands on what ended a loader's worker: its traceback, as text.
_IN_WORKER = re.compile(
    r'Caught \w+ in \w+ worker process.*File "(?P<file>[^"]+)", line.*?\n[\w.]+: (?P<text>.*)',
    re.DOTALL,
)
# What gloo and NCCL say in a process whose peer has ended: it is not what ended the job.
_SIGNS_OF_A_LOST_PEER = ("closed by peer", "reset by peer", "remote process exited")


def command_line_tool(main: Callable[[], None]) -> Callable[[], None]:
    """Decorate a tool's `main`: mistakes of the user end it with one line and exit status 2.

    A mistake of the user is an error that this package raises on purpose, or one in the text of a
    config. Anything else is a bug and keeps its traceback. Under torchrun what ended a process is
    also told at the end of the job.
    """

    @functools.wraps(main)
    def run() -> None:
        try:
            hide_pkg_resources_warning()
            main()
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            sys.exit(128 + signal.SIGINT)
        except Exception as error:
            status = None if os.environ.get(TRACEBACK_VARIABLE) else _exit_status(error)
            if status is None:
                if not any(sign in str(error) for sign in _SIGNS_OF_A_LOST_PEER):
                    _tell_torchrun(traceback.format_exc())
                raise
            line = _one_line(error)
            _tell_torchrun(line)
            sys.stdout.flush()
            print(line, file=sys.stderr)
            sys.exit(status)

    return run


class ToolParser(argparse.ArgumentParser):
    """A tool's command line, which a shell can complete, `config` by the names of configs, too."""

    def add_argument(self, *args: object, **settings: object) -> argparse.Action:
        """Add an argument; see `argparse`."""
        action = super().add_argument(*args, **settings)
        if action.dest == "config":
            action.completer = _complete_config
        return action

    def parse_args(self, *args: object, **settings: object) -> argparse.Namespace:
        """Read the command line, or complete it if a shell asks for that: then this ends here."""
        if COMPLETION_VARIABLE in os.environ:
            import argcomplete

            argcomplete.autocomplete(self)
        return super().parse_args(*args, **settings)


def _complete_config(prefix: str, **_: object) -> list[str]:
    """List the configs' names and the files that begin so."""
    from argcomplete.completers import FilesCompleter

    names = [name for name in list_configs() if name.startswith(prefix)]
    return [*names, *FilesCompleter([".py"])(prefix)]


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


def add_unset_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that lets a model predict with weights of another one."""
    parser.add_argument(
        "--allow-unset",
        action="store_true",
        help="go on although the checkpoint leaves weights of the model at their initial values",
    )


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how the network runs in prediction: those of `NetworkSettings`."""
    for name, text in (
        ("amp", "compute in half precision by torch's autocast: float16, on a CPU bfloat16"),
        ("half", "have weights and maps in half precision, too: less memory; for segmentors"),
        ("compile", "compile backbone, neck and coarse head with torch.compile"),
        ("fold", "make BatchNorms part of the weights of the convolutions before them"),
        ("fast", "of amp and fold what is fastest on this machine"),
    ):
        parser.add_argument(f"--{name}", action="store_true", help=text)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add the option that overrides settings of a config."""
    from mmengine.config import DictAction

    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        metavar="KEY=VALUE",
        help="override settings of the config, e.g. model.decode_head.subdivision.steps=3",
    )


def _exit_status(error: Exception) -> int | None:
    """Tell the status that an error ends a tool with; None for a bug."""
    if isinstance(error, OSError) and error.errno in _MACHINE_ERRORS:
        return 1
    return 2 if isinstance(error, _USER_ERRORS) and _is_user_mistake(error) else None


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in _MACHINE_ERRORS:
        where = f"{error.filename}: " if error.filename else ""
        return f"error: {where}{error.strerror}"
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    in_worker = _IN_WORKER.match(message)
    message = in_worker["text"] if in_worker else message
    return f"error: {' '.join(message.split())}"


def _tell_torchrun(text: str) -> None:
    """Write what ended this process where torchrun looks for it, in the form that it reads."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not path:
        return
    # The time tells torchrun which process failed first.
    details = {"py_callstack": text, "timestamp": str(int(time.time()))}
    with contextlib.suppress(OSError):  # as on a full disk: the error itself matters more
        Path(path).write_text(json.dumps({"message": {"message": text, "extraInfo": details}}))


def _is_user_mistake(error: Exception) -> bool:
    frame, module, filename = error.__traceback__, "", ""
    while frame is not None:
        module = frame.tb_frame.f_globals.get("__name__", "")
        filename = frame.tb_frame.f_code.co_filename
        frame = frame.tb_next
    in_worker = _IN_WORKER.match(str(error))
    filename = in_worker["file"] if in_worker else filename
    return filename.startswith(PACKAGE) or module.startswith(_CONFIG_MODULES)
