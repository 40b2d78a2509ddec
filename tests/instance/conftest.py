"""What the tests of mmdet's models leave to others: the registries' scope as it was."""

from collections.abc import Iterator

import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(scope="module", autouse=True)
def same_scope() -> Iterator[None]:
    """Begin without a scope, and forget that a config's was mmdet: others' are mmsegmentation's."""
    before = dict(DefaultScope._instance_dict)
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)
