"""What every test has: one thread per process, because the tests run in several processes."""

import gc
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from mmengine.config import config as mmengine_config

from mmseg_pointrend import compat

compat.setup()  # before imports of mmseg
gc.disable()  # until all is imported and collected: nothing of it is garbage

torch.set_num_threads(1)

# A busy machine is slow; that is no failure.
settings.register_profile(
    "busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy machine")


@pytest.fixture(scope="session", autouse=True)
def quick_configs() -> Iterator[None]:
    """Spare this process what takes most of the time of a config, and is the same every time.

    Texts are left as they come: yapf takes seconds for each. For every base of another package
    mmengine looks anew through all that are installed.
    """

    def leave(text: str, **settings: object) -> tuple[str, bool]:
        return text, False

    leave.__wrapped__ = mmengine_config.FormatCode.__wrapped__  # for who tests the layout
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmengine_config, "FormatCode", leave)
        for name in ("is_installed", "get_installed_path"):
            patch.setattr(mmengine_config, name, cache(getattr(mmengine_config, name)))
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Look for garbage from here on, and only in what the tests make."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Let no test's random weights depend on the tests that ran before it in this process."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of long tests, or one process would be left alone with them at last."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


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


@pytest.fixture(scope="module")
def random_weights() -> Iterator[None]:
    """Let checkpoints be empty in this process: models keep their random weights."""
    from mmseg_pointrend.apis import models

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "load_weights", lambda *arguments: None)
        yield
