"""What is said of networks that cannot be traced for pictures of any number and size."""

import pytest

from mmseg_pointrend.export.tracing import Sizes, to_fix

NUMBER = "Constraints violated (L['pictures'].size()[0])! For more information, ..."
BOTH = "Constraints violated (L['pictures'].size()[2], L['pictures'].size()[3])!"


@pytest.mark.parametrize(
    ("sizes", "said", "expected"),
    [
        (Sizes(), NUMBER, ["batch"]),
        (Sizes(), BOTH, ["size"]),
        (Sizes(), NUMBER + BOTH, ["batch", "size"]),
        (Sizes(), "The input image size should be divisible by 16", ["batch", "size"]),
        (Sizes(batch=1), "The input image size should be divisible by 16", ["size"]),
        (Sizes(batch=1), NUMBER, ["size"]),
    ],
)
def test_what_to_fix_is_what_torch_names(sizes: Sizes, said: str, expected: list[str]) -> None:
    assert to_fix(sizes, said) == expected
