"""On a phone, a tablet and a desk nothing overlaps and no text is cut off; pictures are kept for people to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page

from tests.browser import sample_models
from tests.browser.conftest import SCREENSHOTS, Open
from tests.browser.fake_edge import FakeEdge

WIDTHS = {"phone": 390, "tablet": 820, "desktop": 1440}
PAGES = {"numbers": "/dashboard", "why": "/dashboard?why=late/UA1545:EWR:N14228"}

#: Texts that leave the window or their box, and pairs of texts that lie on each other.
_FAULTS = Path(__file__).with_name("faults.js").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overlaps_or_is_cut_off(
    open_page: Open, width: str, place: str, scheme: Literal["light", "dark"]
) -> None:
    """Every text lies inside its box and the window, and on no other text."""
    page = open_page(PAGES[place], width=WIDTHS[width], scheme=scheme)
    page.wait_for_selector(".ladder" if place == "why" else "#hot tbody tr")
    _keep(page, f"{place}-{width}-{scheme}")

    assert page.evaluate(_FAULTS) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_long_names_and_large_numbers_find_room(open_page: Open, edge: FakeEdge, width: str) -> None:
    """A key of 512 bytes without a place to break, names as long as people make them, millions a second."""
    edge.changes = _large(edge.document({"range_s": "900"}))

    page = open_page(width=WIDTHS[width])
    _keep(page, f"large-{width}")

    assert page.evaluate(_FAULTS) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_wrong_finds_room(open_page: Open, edge: FakeEdge, complaints: list[str], width: str) -> None:
    """Many problems at once, and then no news of them."""
    document = edge.document({"range_s": "900"})
    edge.changes = {
        "nodes": [{**row, "alive": False} for row in document["nodes"]],
        "workers": [{**row, "alive": False} for row in document["workers"]],
        "queues": [{"name": "refresh", "depth": 1_200_000, "oldest_s": 4_000.0}],
        "breakers": sample_models.breakers(document["now_ms"]),
        "experiments": sample_models.troubled(document["now_ms"]),
        "audit": {**document["audit"], "falsely_fresh": 3},
        "leader": None,
    }

    page = open_page(width=WIDTHS[width], clock=True)
    _keep(page, f"trouble-{width}")
    told = page.evaluate(_FAULTS)
    page.context.set_offline(True)
    page.clock.run_for(13_000)
    page.wait_for_selector("#live[data-state=late]")
    _keep(page, f"no-news-{width}")

    assert told + page.evaluate(_FAULTS) == []
    complaints.clear()


def _large(document: dict[str, Any]) -> dict[str, Any]:
    long = "W" * 512
    name = "recommendations-for-returning-visitors_v2"
    rates = {tier: [None if v is None else v * 12_345 for v in values] for tier, values in _rates(document).items()}
    worker = "celery@worker-7d9f8b6c5d-x2x8q.core.eu-central-1.example.net"
    node = "edge-7d9f8b6c5d-x2x8q.eu-central-1.example.net:8300"
    return {
        "series": document["series"] | {"requests_per_s": rates},
        "totals": document["totals"] | {"requests": 123_456_789_012, "p999_ms": 12_345.6, "p50_ms": 123.4},
        "hot": [{**document["hot"][0], "key": long, "model": name}],
        "models": [{**row, **_large_model(name)} for row in document["models"][:1]],
        "models_left_out": 1_234,
        "breakers": [{**row, "model": name, "node": node, "why": long} for row in _breakers(document)],
        "experiments": _large_experiments(document["experiments"], name),
        "jobs": [{**row, "name": name} for row in document["jobs"]],
        "runs": [{**row, "name": name} for row in document["runs"]],
        "workers": [{**document["workers"][0], "name": worker}],
        "queues": [{"name": name, "depth": 12_345_678, "oldest_s": 86_399.0}],
        "nodes": [{**row, "node": f"{i}.{node}"} for i, row in enumerate(document["nodes"])],
        "views": [{**document["views"][1], "view": name}],
        "invalidations": [{**document["invalidations"][0], "what": f"key {long}", "who": worker, "why": long}],
    }


def _large_model(name: str) -> dict[str, Any]:
    counts = {"chosen": 12_345_678_901, "over_budget": 1_234_567, "loaded_in": 128, "told_by": 128}
    times = {"memory": 12_345.6, "replica": 12_345.6, "live": 12_345.6, "stale": None, "default": None}
    big = {"memory_bytes": 123 << 30, "p95_ms": 12_345.6, "expected_ms": 12_345.6, "tier_p95_ms": times}
    return {"model": name, "versions": list(range(1204, 1190, -1)), **counts, **big}


def _breakers(document: dict[str, Any]) -> list[dict[str, Any]]:
    return sample_models.breakers(document["now_ms"])


def _large_experiments(known: dict[str, Any], name: str) -> dict[str, Any]:
    wide = {"estimate": 12_345.6, "low": 12_001.2, "high": 12_999.9}
    more = {"answers": 123_456_789_012, "units": 12_345_678, "mean_ms": wide, "serves": f"variant {name}"}
    running = [
        {**it, "name": f"{name}-{i}", "model": name, "unit": f"header.{name}", "sample": 0.001}
        | {"arms": [{**arm, "arm": f"{arm['arm']}-{name}", **more} for arm in it["arms"]]}
        for i, it in enumerate(known["running"])
    ]
    ended = [{**it, "name": name, "answers": {f"{name}-{i}": 123_456_789 for i in range(8)}} for it in known["ended"]]
    return {**known, "running": running, "ended": ended[:1], "running_count": 1_000, "ended_count": 4_000}


def _rates(document: dict[str, Any]) -> dict[str, list[float | None]]:
    found: dict[str, list[float | None]] = document["series"]["requests_per_s"]
    return found


def _keep(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
