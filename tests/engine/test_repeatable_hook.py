"""How strict torch is about deterministic algorithms, in training and in validation."""

from collections.abc import Iterator

import pytest
import torch

from mmseg_pointrend.engine import RepeatableHook


@pytest.fixture(autouse=True)
def not_deterministic_afterwards() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("mode", "in_validation"), [("default", "default"), ("warn", "warn"), ("error", "warn")]
)
def test_validations_warn_and_trainings_refuse(mode: str, in_validation: str) -> None:
    names = ["default", "warn", "error"]
    torch.set_deterministic_debug_mode(mode)
    hook = RepeatableHook()
    hook.before_val(None)
    assert names[torch.get_deterministic_debug_mode()] == in_validation
    hook.after_val(None)
    assert names[torch.get_deterministic_debug_mode()] == mode
    hook.before_test(None)
    assert names[torch.get_deterministic_debug_mode()] == in_validation
