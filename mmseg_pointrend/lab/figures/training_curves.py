"""Curves of what trainings have logged: losses, accuracies, metrics."""

import json
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure


def read_log(path: str | Path) -> dict[str, list[tuple[int, float]]]:
    """Read the numbers that mmengine has logged.

    Args:
        path: a `scalars.json` (in `<work dir>/<time>/vis_data`), or a work dir, whose newest is
            read.

    Returns:
        for each name (step, value) pairs.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a file of something else.
    """
    path = Path(path)
    if path.is_dir():
        logs = sorted(path.glob("**/vis_data/scalars.json"))
        if not logs:
            raise FileNotFoundError(f"{path} holds no vis_data/scalars.json")
        path = logs[-1]
    if not path.is_file():
        raise FileNotFoundError(f"log {path} does not exist")
    curves: dict[str, list[tuple[int, float]]] = {}
    try:
        for line in path.read_text("utf-8").splitlines():
            record = json.loads(line)
            for name, value in record.items():
                if isinstance(value, int | float) and name not in ("step", "iter", "epoch"):
                    curves.setdefault(name, []).append((int(record["step"]), float(value)))
    except (ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"log {path} is no scalars.json of mmengine: {error!r}") from error
    return curves


def draw_curves(logs: Sequence[str | Path], keys: Sequence[str], out: str | Path) -> None:
    """Draw curves of one or several trainings against the iterations.

    Args:
        logs: see `read_log`.
        keys: names of what is drawn, one below the other.
        out: picture to write; its ending says of which kind.

    Raises:
        FileNotFoundError: if there is no such log.
        ValueError: for a name that no log has.
    """
    found = {str(log): read_log(log) for log in logs}
    names = sorted({name for curves in found.values() for name in curves})
    for key in keys:
        if key not in names:
            raise ValueError(f"key {key} is in no log; there are {', '.join(names)}")
    figure = Figure(figsize=(8, 3 * len(keys)), layout="tight")
    axes = figure.subplots(len(keys), squeeze=False)
    for axis, key in zip(axes[:, 0], keys, strict=True):
        for log, curves in found.items():
            if key in curves:
                axis.plot(*zip(*curves[key], strict=True), marker=".", label=log)
        axis.set(xlabel="iteration", ylabel=key)
        axis.legend()
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)
