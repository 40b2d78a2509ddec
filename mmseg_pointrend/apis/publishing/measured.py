"""What a test or a training has measured, read from the files that they leave."""

import json
import math
from pathlib import Path
from typing import NamedTuple

#: Numbers in these files that measure the machine or count.
_NO_METRICS = {"time", "data_time", "step", "iter", "epoch", "lr", "memory"}


class Metrics(NamedTuple):
    """What was measured.

    Attributes:
        values: numbers by their names.
        source: what measured them, for people.
    """

    values: dict[str, float]
    source: str


NOTHING = Metrics({}, "")


def read_metrics(path: str | Path) -> Metrics:
    """Read the numbers that a test has written, `work_dir/<time>/<time>.json`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no numbers by names.
    """
    try:
        found = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise FileNotFoundError(f"metrics {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"metrics {path} is no JSON ({error})") from error
    values = _numbers(found) if isinstance(found, dict) else {}
    if not values:
        raise ValueError(
            f"metrics {path} must hold numbers by their names, as tools/test.py writes them into "
            "its work dir"
        )
    return Metrics(values, f"by tools/test.py, `{Path(path).name}`")


def find_metrics(checkpoint: str | Path, trained: dict) -> Metrics:
    """Find what a training has measured when it saved a checkpoint, in the logs beside that.

    Args:
        checkpoint: in the training's work dir.
        trained: `iter` and `epoch` that it had reached.

    Returns:
        the newest log's numbers; none if no log has any.
    """
    # A validation counts iterations, or, where its training does, epochs.
    steps = {trained[key] for key in ("iter", "epoch") if trained.get(key)}
    logs = Path(checkpoint).parent.glob("*/vis_data/scalars.json")
    for log in sorted(logs, reverse=True):
        for line in reversed(log.read_text("utf-8").splitlines()):
            try:
                found = json.loads(line)
            except ValueError:  # the end of a log whose training was killed
                continue
            values = _numbers(found)
            if found.get("step") in steps and values and "loss" not in found:
                return Metrics(values, f"by the training's validation, step {found['step']}")
    return NOTHING


def _numbers(found: dict) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and name not in _NO_METRICS
    }
