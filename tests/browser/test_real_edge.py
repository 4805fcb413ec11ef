"""The dashboard of a real edge: what it tells is what the edge counted, and a real key is explained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from deploy.local.redis_pair import RedisPair
from tests.browser.conftest import watch
from tests.edge_process import Edge, address, edge_process
from tests.edge_project import EdgeProject
from tests.waiting import wait_until

#: A bucket, its end, its way to the document, and the page's own pace.
_TOLD_WITHIN_MS = 30_000


@pytest.fixture
def project(tmp_path: Path, clean_redis: RedisPair) -> Iterator[EdgeProject]:
    """One flight at one airport."""
    published = EdgeProject.publish(tmp_path, clean_redis)
    published.put_flights(["F0"], [0.1])
    published.put_weather({"EWR": 0.5})
    yield published
    published.store.close()


@pytest.fixture
def edge(project: EdgeProject) -> Iterator[Edge]:
    """An edge with an empty memory."""
    with edge_process(project.settings) as running:
        yield running


@pytest.fixture
def page(browser: Browser, edge: Edge, complaints: list[str]) -> Iterator[Page]:
    """Its dashboard, which must not complain."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    watch(opened, complaints)
    opened.goto(f"{address(edge.role)}/dashboard?range=5m")
    yield opened
    context.close()
    assert not complaints


def test_the_numbers_are_those_of_metrics(edge: Edge, page: Page) -> None:
    """To the request, once the bucket in which they came has ended, without anybody touching the page."""
    for _ in range(40):
        edge.get("/v1/predict/late/F0:EWR")
    edge.get("/v1/predict/late/F9:EWR")

    expect(page.locator("#tile-rate .more")).to_have_text("41 in 5 minutes", timeout=_TOLD_WITHIN_MS)

    assert edge.metric("nearcast_requests_total") == 41
    hits = edge.metric("nearcast_requests_total", tier="memory") / 41
    assert page.locator("#tile-hits .value").inner_text() == f"{hits * 100:.1f}\u202f%"
    expect(page.locator("#live-text")).to_contain_text("Live")
    expect(page.locator("#nodes tbody th")).to_have_text(f"{_node(edge)}")
    expect(page.locator("#health-words")).to_have_text("One thing needs attention")


def test_what_is_said_of_models_is_shown(edge: Edge, page: Page) -> None:
    """Loaded and how fast, once somebody has asked; nothing is taken out, and no experiment runs."""
    edge.get("/v1/predict/late/F0:EWR?variant=default")
    row = page.locator("#models tbody tr").first

    for title, unit in (("Live p95", "ms"), ("Expected", "ms"), ("Loaded", "[KM]iB")):
        cell = row.locator(f'[data-title="{title}"]')
        expect(cell).to_have_text(re.compile(rf"^[\d.]+\s{unit}$"), timeout=_TOLD_WITHIN_MS)
    expect(page.locator("#breakers")).to_contain_text("All are closed")
    expect(page.locator("#running")).to_contain_text("No experiment runs.")


def test_a_real_key_is_explained_and_looked_at_again(project: EdgeProject, edge: Edge, page: Page) -> None:
    """From held in memory to passed over because its weather has changed."""
    edge.get("/v1/predict/late/F0:EWR")
    page.get_by_label("Model", exact=True).fill("late")
    page.get_by_label("Key", exact=True).fill("F0:EWR")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#why-title")).to_have_text("Memory answers at once")

    project.put_weather({"EWR": 0.9}, event_ms=2)
    why = "/v1/why/late/F0:EWR"
    wait_until(lambda: edge.get(why).json()["would_answer"] == "live", message="the change is not followed")
    page.get_by_role("button", name="Look again").click()

    expect(page.locator("#why-title")).to_have_text("It is computed when asked for")
    expect(page.locator(".ladder li").first).to_contain_text("weather EWR changed at")
    expect(page.locator("#why tbody tr").nth(1)).to_contain_text("yes")


def _node(edge: Edge) -> str:
    nodes = edge.get("/dashboard/data?range_s=300").json()["nodes"]
    name: str = nodes[0]["node"]
    return name
