"""One model in every way that its network can run, side by side."""

import json
from dataclasses import replace

import pytest

from mmseg_pointrend.inference.network import NetworkSettings
from mmseg_pointrend.lab.benchmark import network_ways
from mmseg_pointrend.lab.benchmark.network_ways import (
    CONTIGUOUS,
    ONNX,
    PLAIN,
    WAYS,
    benchmark_network,
    format_network,
)
from mmseg_pointrend.lab.benchmark.settings import Settings
from tests.lab.benchmark.test_benchmark import FEW_POINTS, SMALL

SETTINGS = Settings(
    SMALL, shape=(67, 131), repeat=2, warmup=0, versus="settings", logits="model",
    options=FEW_POINTS,
)  # fmt: skip


def test_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way is timed; what is the same arithmetic gives the same labels."""
    # Processes of their own for the memory are tried by tests/tools.
    monkeypatch.setattr(network_ways, "in_new_process", lambda peak, *_: 3 * 2**20)
    report = benchmark_network(SETTINGS)
    assert list(report["ways"]) == [*WAYS, ONNX]
    for name, way in report["ways"].items():
        assert len(way["seconds"]) == 2 and way["median"] > 0
        assert name == ONNX or 0 < way["until_logits"] < sum(way["seconds"])
        assert 0 <= way["different"] < 0.5
    assert report["ways"][PLAIN]["different"] == 0
    for same in (CONTIGUOUS, "--fold", ONNX):
        assert report["ways"][same]["different"] < 1e-3
    json.dumps(report)
    lines = format_network(report).splitlines()
    rows = lines[-len(WAYS) - 1 :]
    assert [row[:26].strip() for row in rows] == [*WAYS, ONNX]
    assert "1.00x" in rows[0] and " - " not in rows[0]
    assert rows[-1].split()[2:4] == ["-", "-"]


def test_what_onnx_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """With coarse logits that are made it renders others; labels of another size not at all."""
    monkeypatch.setattr(network_ways, "in_new_process", lambda peak, *_: 3 * 2**20)
    settings = replace(SETTINGS, repeat=1, logits="scenes")
    assert "different" not in benchmark_network(settings)["ways"][ONNX]
    report = benchmark_network(replace(settings, ori_shape=(60, 120)))
    assert ONNX not in report["ways"]


def test_every_setting_has_a_way() -> None:
    ways = [*WAYS.values(), *network_ways.COMPILED_WAYS.values()]
    # `fast` is one of the others.
    for name in NetworkSettings.__dataclass_fields__.keys() - {"fast"}:
        assert any(getattr(way, name) for way in ways)


@pytest.mark.parametrize("other", [dict(train=True), dict(amp=True), dict(boxes=(3,))])
def test_what_it_does_not_measure(other: dict) -> None:
    with pytest.raises(ValueError, match=f"leave out {next(iter(other))}$"):
        benchmark_network(replace(SETTINGS, **other))
