"""What a GPU would be asked to do: ours beside mmsegmentation's, with upper bounds."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmseg_pointrend.lab.benchmark import augmented, device_counts
from mmseg_pointrend.lab.benchmark.counts_table import format_counts
from mmseg_pointrend.lab.benchmark.device_counts import StageCounter, count_work
from mmseg_pointrend.lab.benchmark.settings import Settings, complete_settings, load_model_config
from mmseg_pointrend.lab.benchmark.stages import StageClock
from mmseg_pointrend.lab.benchmark.workloads import build_works
from mmseg_pointrend.lab.counting.compiled_storage import CompiledStorage
from mmseg_pointrend.lab.counting.device_counter import DeviceCounter
from mmseg_pointrend.lab.counting.pretended_device import DEVICE
from tests.repository.test_configs import ROOT
from tests.shallow import shallow_resnets

SMALL = str(ROOT / "pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py")
FEW_POINTS = {"model.decode_head.subdivision.num_points": 200}
ODD = Settings(
    SMALL, shape=(67, 131), ori_shape=(90, 170), options=FEW_POINTS, versus="upstream", count=True
)


@cache
def count(**changes: object) -> dict:
    with shallow_resnets():
        return count_work(replace(ODD, **changes))["models"]


def total(stages: dict, key: str) -> int:
    return sum(counts[key] for counts in stages.values())


def test_upstream_is_counted_operator_by_operator() -> None:
    """The numbers of mmsegmentation 1.2.2, whatever the size: no way of it depends on values."""
    for changes in ({}, dict(shape=(64, 64), ori_shape=(64, 64))):
        upstream = count(**changes)["upstream"]
        assert set(upstream) == {"rendering", "post-processing"}
        assert total(upstream, "syncs") == 0
    steps, grid = 3, (72, 136)
    rendering = count()["upstream"]["rendering"]
    assert rendering["launches"] < 40 * steps
    # The logits of the last grid: nine classes, and as large at least.
    assert rendering["largest"] == 4 * 9 * grid[0] * grid[1]
    assert rendering["read"] > rendering["largest"] and rendering["peak"] > rendering["largest"]


def test_a_prediction_asks_for_no_more_launches_than_upstreams() -> None:
    """The one sync tells whether the logits are finite."""
    for changes in ({}, dict(shape=(64, 64), ori_shape=(64, 64))):
        found = count(**changes)
        assert total(found["ours"], "launches") <= total(found["upstream"], "launches")
        assert total(found["ours"], "launches") <= 101 and total(found["ours"], "syncs") <= 1
        peaks = [max(stage["peak"] for stage in stages.values()) for stages in found.values()]
        assert peaks[0] <= peaks[1]


def test_a_training_step_asks_for_no_more_than_upstreams() -> None:
    """From the feature maps on, and of the syncs two are those of mmsegmentation's accuracy."""
    found = count(train=True, ori_shape=None, shape=(128, 256), batch=2, options=None)
    ours, theirs = found["ours"], found["upstream"]
    for stages in (ours, theirs):
        assert set(stages) == {"coarse head", "points and losses", "backward"}
        assert all(counts["launches"] for counts in stages.values())
    # mmsegmentation runs its coarse head twice.
    assert theirs["coarse head"]["launches"] == 2 * ours["coarse head"]["launches"]
    for key in ("launches", "syncs", "read", "written", "peak"):
        assert total(ours, key) <= total(theirs, key)
    assert total(ours, "launches") <= 185 and total(ours, "syncs") <= 3
    # Nothing of it depends on the number of pictures.
    more = count(train=True, ori_shape=None, shape=(128, 256), batch=3, options=None)["ours"]
    for key in ("launches", "syncs"):
        assert total(more, key) == total(ours, key)


def test_views_ask_for_no_more_than_upstreams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the syncs two for each view are mmsegmentation's preprocessor, one looks for NaN."""
    monkeypatch.setattr(augmented, "SCALES", (1.0, 1.5))
    settings = replace(ODD, tta=True, shape=(64, 96), ori_shape=(64, 96), options=None)
    with shallow_resnets():
        found = count_work(settings)["models"]
    ours, theirs = found["ours"], found["upstream"]
    assert set(ours) == set(theirs) == {"coarse head", "rendering", "post-processing"}
    for key in ("launches", "read", "written", "peak"):
        assert total(ours, key) <= total(theirs, key)
    assert total(ours, "syncs") <= 3 * 4


def test_views_are_counted_alone() -> None:
    with pytest.raises(ValueError, match="tta is counted, for one image"):
        count_work(replace(ODD, tta=True, batch=2))


def test_stages_are_told_apart() -> None:
    counter = DeviceCounter()
    stages = StageCounter(counter)
    with counter:
        x = torch.zeros(4, 4).to(DEVICE)
        stages.reset()
        with stages.stage("outer"):
            y = x + 1
            with stages.stage("inner"):
                y = (y * 2).sum()
            float(y)
        x + 1
    assert {name: work.launches for name, work in stages.found.items()} == dict(outer=2, inner=2)
    assert stages.found["outer"].syncs == 1 and stages.found["inner"].syncs == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(amp=True), "amp is not counted"),
        (dict(compile=True, train=True), "rendering of labels is counted: leave out compile"),
        (dict(device="cuda"), "a count needs no device='cuda'"),
    ],
)
def test_what_cannot_be_counted_is_named(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        count_work(replace(ODD, **change))


def test_what_is_compiled_are_the_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the compiler runs what it is given: the labels of the sparse way."""
    found = []

    def storage(function: Callable, *args: Tensor) -> CompiledStorage:
        found.extend(function(*args))
        return CompiledStorage(stored=3 << 20, allocated=2 << 20, largest=1 << 20)

    monkeypatch.setattr(device_counts, "compiled_storage", storage)
    settings = complete_settings(replace(ODD, versus=None, compile=True))
    report = count_work(settings)
    assert "3 MiB stored, in buffers of" in format_counts(report)
    plain = replace(settings, compile=False)
    work = build_works(plain, load_model_config(plain), StageClock)["ours"]
    work.prepare(0)
    (sample,) = work.run()
    assert torch.equal(found[0], sample.pred_sem_seg.data[0].to(found[0].dtype))


def test_the_table(call_tool, tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    printed = call_tool(
        "benchmark.py", SMALL, "--count", "--versus", "upstream", "--shape", 64, "--json", path
    )
    models = json.loads(path.read_text())["models"]
    lines = [line.split() for line in printed.splitlines()]
    for stage in ("rendering", "post-processing"):
        at = lines.index([stage])
        ours, theirs = (models[name][stage]["launches"] for name in ("ours", "upstream"))
        assert lines[at + 1][:4] == ["kernel", "launches", str(ours), str(theirs)]
    launches = [total(models[name], "launches") for name in ("ours", "upstream")]
    assert lines[lines.index(["total"]) + 1][2:4] == [str(number) for number in launches]
    assert "nothing was timed" in printed and "host syncs" in printed
