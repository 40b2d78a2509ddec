"""Only the one warning is hidden, and not from those who ask for warnings."""

import sys
import warnings

from mmseg_pointrend.compat.warnings_filter import hide_pkg_resources_warning

TEXT = "pkg_resources is deprecated as an API. See the documentation."


def shown(*messages: str) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        hide_pkg_resources_warning()
        for message in messages:
            warnings.warn(message, stacklevel=1)
    return [str(warning.message) for warning in caught]


def test_it_hides_that_warning_only(monkeypatch):
    monkeypatch.setattr(sys, "warnoptions", [])
    assert shown(TEXT, "something else") == ["something else"]


def test_whoever_asks_for_warnings_gets_it(monkeypatch):
    monkeypatch.setattr(sys, "warnoptions", ["default"])
    assert shown(TEXT) == [TEXT]
