"""One command for all tools: `mmseg-pointrend TOOL ...`, from a clone or an installed package.

It runs the tool's file, and imports nothing that takes time itself.
"""

import ast
import difflib
import os
import sys
from pathlib import Path
from types import ModuleType

from mmseg_pointrend import __version__
from mmseg_pointrend.apis.console import COMPLETION_VARIABLE, ToolParser
from mmseg_pointrend.apis.shipped import list_tools

NAME = "mmseg-pointrend"
SHELLS = ("bash", "zsh", "fish")

_USAGE = f"""usage: {NAME} TOOL ...
       {NAME} TOOL --help
       {NAME} --version
       {NAME} --completion {{{",".join(SHELLS)}}}

PointRend for MMSegmentation. A CONFIG is a file or the name of a config of this project
({NAME} list-configs).

tools:
"""


def main() -> None:
    """Run a tool, or say which there are."""
    words, tools = sys.argv[1:], list_tools()
    if COMPLETION_VARIABLE in os.environ:
        words = _complete(tools)
    if not words or words[0] in ("-h", "--help"):
        print(_help(tools), end="")
    elif words[0] == "--version":
        print(f"{NAME} {__version__}")
    elif words[0] == "--completion":
        _print_completion(words[1:])
    else:
        _run(_find(words[0], tools), words)


def _run(path: Path, words: list[str]) -> None:
    """Run a tool's file as Python does (and `runpy`), but by the name that was typed."""
    sys.argv = [f"{NAME} {words[0]}", *words[1:]]
    script = ModuleType("__main__")
    script.__file__ = str(path)  # where processes that are spawned find it, too
    sys.modules["__main__"] = script
    exec(compile(path.read_bytes(), path, "exec"), vars(script))


def _find(name: str, tools: dict[str, Path]) -> Path:
    """Find a tool, spelt with `-` or `_`; end with one line if there is none."""
    known = name.replace("_", "-").removesuffix(".py")
    if known in tools:
        return tools[known]
    alike = difflib.get_close_matches(known, tools, n=1)
    hint = f"did you mean {alike[0]}?" if alike else f"{NAME} --help lists them"
    print(f"error: there is no tool {name}; {hint}", file=sys.stderr)
    sys.exit(2)


def _help(tools: dict[str, Path]) -> str:
    width = max(map(len, tools))
    return _USAGE + "".join(
        f"  {name:{width}}  {_first_line(path)}\n" for name, path in tools.items()
    )


def _first_line(path: Path) -> str:
    """What a tool's file says of it, without the command that may follow."""
    said = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return said.partition("\n")[0].partition(": python ")[0].rstrip(".")


def _print_completion(words: list[str]) -> None:
    """Print what a shell evaluates to complete this command."""
    parser = ToolParser(prog=f"{NAME} --completion")
    parser.add_argument("shell", choices=SHELLS)
    shell = parser.parse_args(words).shell
    import argcomplete

    print(argcomplete.shellcode([NAME], shell=shell))


def _complete(tools: dict[str, Path]) -> list[str]:
    """Complete the tool's name, and end; or say which tool has to complete the rest."""
    import argcomplete

    _, _, _, before, _ = argcomplete.split_line(
        os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])
    )
    if len(before) < 2:
        parser = ToolParser(prog=NAME)
        parser.add_argument("--version", action="store_true")
        parser.add_argument("--completion", choices=SHELLS)
        parser.add_argument("tool", choices=list(tools))
        parser.parse_args()
    # The tool's own line begins with the tool's name.
    os.environ[COMPLETION_VARIABLE] = "2"
    return before[1:2]
