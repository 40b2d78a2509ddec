"""What every test has: one thread per process, because the tests run in several processes."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

import mmseg_pointrend  # noqa: F401 - its stand-in for mmcv._ext must precede imports of mmseg

torch.set_num_threads(1)

# A busy machine is slow; that is no failure.
settings.register_profile(
    "busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy machine")


@pytest.fixture(scope="session", autouse=True)
def _read_metafiles_once() -> Iterator[None]:
    """Keep mmsegmentation's metafiles: mmengine reads all 53 for each `mmseg::` base of a config.

    That is most of the time that loading a config takes.
    """
    from mmengine.config import utils

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "load", functools.cache(utils.load))
        yield


@pytest.fixture
def call_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> Iterator:
    """Run tools in this process, from the test's folder: see `tests.tools.commands.ToolCaller`."""
    from tests.tools.commands import ToolCaller, forget_runs

    monkeypatch.chdir(tmp_path)
    yield ToolCaller(monkeypatch, capfd)
    # They hold streams that end with the test.
    forget_runs()
