"""The browser that the machine has; `python -m tests.browser.chromium` says so if it has none."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "the tests of the dashboard need Chromium, which is not here; on Debian and Ubuntu: apt install chromium"
#: A heap that can be collected on demand, so that what stays in it is what is held.
_FLAGS = ("--js-flags=--expose-gc",)


def find() -> str | None:
    """The path of the first one on PATH."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """Runs it, headless, until the end of the block.

    Raises:
        FileNotFoundError: there is none.
    """
    path = find()
    if path is None:
        raise FileNotFoundError(MISSING)
    # Chromium refuses to sandbox what runs as root.
    unboxed = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=[*_FLAGS, *unboxed])
        try:
            yield running
        finally:
            running.close()


if __name__ == "__main__":
    if find() is None:
        sys.exit(MISSING)
