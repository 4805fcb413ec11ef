"""The page that describes the doors: it comes from the edge alone, and what it says can be tried on the spot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from deploy.local.redis_pair import RedisPair
from tests.browser.conftest import SCREENSHOTS, watch
from tests.edge_process import Edge, address, edge_process
from tests.edge_project import MANIFEST, EdgeProject, graph

KEY = 'key = ["flight", "origin"]'


@pytest.fixture
def edge(tmp_path: Path, clean_redis: RedisPair) -> Iterator[Edge]:
    """One flight at one airport, which the project names as its example."""
    text = MANIFEST.replace(KEY, f'{KEY}\nexamples = ["F0:EWR"]')
    project = EdgeProject.declare(tmp_path, clean_redis, text, {("late", "default"): graph("late")})
    project.put_flights(["F0"], [0.1])
    project.put_weather({"EWR": 0.5})
    with edge_process(project.settings) as running:
        yield running
    project.store.close()


@pytest.fixture
def asked() -> list[str]:
    """Where the page has asked for anything."""
    return []


@pytest.fixture
def page(browser: Browser, edge: Edge, complaints: list[str], asked: list[str]) -> Iterator[Page]:
    """The page, which must not complain."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    watch(opened, complaints)
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(f"{address(edge.role)}/docs")
    yield opened
    context.close()
    assert not complaints


def test_a_described_door_can_be_tried(page: Page, edge: Edge, asked: list[str]) -> None:
    """With the example that stands there: a real key, and a real answer; and nothing comes from elsewhere."""
    page.locator(".nav-bar-path", has_text="/v1/predict/late/{key}").click()
    page.get_by_role("button", name="TRY").first.click()

    expect(page.get_by_text('"F0:EWR?hour=12"').first).to_be_visible()

    page.screenshot(path=SCREENSHOTS / "docs.png")
    assert edge.metric("nearcast_requests_total", model="late") == 1
    assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {
        urlsplit(address(edge.role)).netloc
    }
