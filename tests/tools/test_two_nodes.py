"""A training on two machines, see `two_nodes`."""

from pathlib import Path

import pytest

from tests.engine.kills import find_difference, train_anew, write_config
from tests.forks import run_ranks
from tests.tools.two_nodes import ITERATIONS, train_on_two_nodes, two_nodes


@pytest.mark.slow
def test_two_nodes_train_as_two_processes_of_one(tmp_path: Path, monkeypatch) -> None:
    for name in ("PORT", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    config, refused = write_config(tmp_path, ITERATIONS), None
    try:
        with two_nodes() as nodes:
            first, second = train_on_two_nodes(nodes, config, tmp_path / "nodes")
    except PermissionError as error:
        # Both on this machine: the way they find each other is tested all the same.
        refused = error
        first, second = train_on_two_nodes([[], []], config, tmp_path / "nodes")
    assert "GPU number: 2" in first
    assert "Iter(train)" in first and "Iter(train)" not in second
    run_ranks(tmp_path, 2, train_anew, config, tmp_path / "processes", launcher="pytorch")
    last = f"iter_{ITERATIONS}.pth"
    assert find_difference(tmp_path / "processes" / last, tmp_path / "nodes" / last) is None
    if refused is not None:
        pytest.skip(f"on one network only: {refused}")
