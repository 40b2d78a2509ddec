"""A real browser, driven as a user would: Chromium by Playwright, without a network."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

#: Of Debian and others; Playwright's own download is not needed.
NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str:
    """The path of the browser; without one the test is skipped."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium: on Debian, apt install chromium")
    return found


@contextmanager
def open_browser() -> Iterator:
    """Start a browser; ends with the block."""
    path = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A container's root has no sandbox; pages are this project's own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
