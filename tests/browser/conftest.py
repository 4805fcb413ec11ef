"""A real browser, and a page of it that complains about whatever goes wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium
from tests.browser.fake_edge import FakeEdge, fake_edge

#: Kept by each run, for people to look at.
SCREENSHOTS = Path(__file__).parents[1] / "screenshots"

#: Machines that run tests are busy.
expect.set_options(timeout=15_000)

Open = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


# Not for the whole run: while its loop runs in this thread, no other test can run one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's Chromium."""
    if chromium.find() is None:
        pytest.fail(chromium.MISSING, pytrace=False)
    with chromium.browser() as running:
        yield running


@pytest.fixture
def edge() -> Iterator[FakeEdge]:
    """An edge that serves the real page with made-up numbers."""
    with fake_edge() as running:
        yield running


@pytest.fixture
def complaints() -> list[str]:
    """What the console, the page and the network complained about; a test may take out what it expects."""
    return []


@pytest.fixture
def open_page(browser: Browser, edge: FakeEdge, complaints: list[str]) -> Iterator[Open]:
    """Opens an address of the edge, and waits for its numbers; `clock` lets a test move the page's time on."""
    contexts = []

    def opened(
        path: str = "/dashboard",
        *,
        width: int = 1440,
        height: int = 900,
        scheme: Literal["light", "dark"] = "light",
        clock: bool = False,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            timezone_id="UTC",
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        watch(page, complaints)
        if clock:
            page.clock.install()
        page.goto(edge.url + path)
        page.wait_for_selector("#live:not([data-state=waiting])")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


def watch(page: Page, complaints: list[str]) -> None:
    """Notes errors and warnings of the console, uncaught errors, and requests that failed."""
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda r: complaints.append(f"{r.url}: {r.failure}") if _is_failure(r.failure) else None)


def _is_failure(failure: str | None) -> bool:
    # A stream ends when its page does.
    return failure != "net::ERR_ABORTED"
