"""What a demonstration compares: two models, their data, and what is measured of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mmseg_pointrend.compat.versions import check_mmdet

#: The two models of a demonstration.
BASELINE, POINTREND = "baseline", "pointrend"


class Row(NamedTuple):
    """A row of the report.

    Attributes:
        label: what it is called in the table.
        model: whose test run measures it.
        prefix: of its metrics in that run.
    """

    label: str
    model: str
    prefix: str = ""


@dataclass(frozen=True)
class Subject:
    """What is demonstrated. Functions are named ones: processes are sent the subject.

    Attributes:
        configs: model -> its config, below `configs/`; `BASELINE` and `POINTREND`.
        rows: name in the report -> row.
        metrics: name in the report -> metric of a test run, with {} for the row's prefix.
        percent: what the metrics are multiplied with to be percent.
        warm_up: iterations in which the configs' learning rate rises.
        data_root: where its scenes are kept, unless told otherwise.
        write_scenes: (data_root, num_train, num_val): draws the data.
        data_options: data_root -> options that give the configs these data.
        draws_baseline: whether the picture shows the baseline, too.
    """

    configs: dict[str, str]
    rows: dict[str, Row]
    metrics: dict[str, str]
    percent: float
    warm_up: int
    data_root: str
    write_scenes: Callable[[Path, int, int], None]
    data_options: Callable[[Path], dict]
    draws_baseline: bool


def choose_subject(instance: bool) -> Subject:
    """Choose what is demonstrated.

    Args:
        instance: masks of objects, not label maps.

    Raises:
        ImportError: for masks of objects without mmdet.
    """
    if instance:
        check_mmdet()
        from mmseg_pointrend.lab.demo.instances import INSTANCES

        return INSTANCES
    from mmseg_pointrend.lab.demo.semantic import SEMANTIC

    return SEMANTIC
