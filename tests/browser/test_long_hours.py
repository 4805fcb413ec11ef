"""A page left open does not grow."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import CDPSession, Page

from tests.browser import sample
from tests.browser.conftest import Open
from tests.browser.fake_edge import FakeEdge
from tests.waiting import wait_until

#: An hour of documents, one each five seconds, after enough of them for everything to be built and compiled.
WARM_UP, HOUR = 60, 720
MAX_GROWN_BYTES = 1_500_000
MAX_GROWN_NODES = 200


@dataclass(frozen=True, slots=True)
class Held:
    """What a page holds once everything that is not held has been collected."""

    heap: int
    nodes: int
    listeners: int

    @classmethod
    def by(cls, session: CDPSession) -> Held:
        """Asks the browser."""
        for _ in range(2):
            session.send("HeapProfiler.collectGarbage")
        counters = session.send("Memory.getDOMCounters")
        heap = session.send("Runtime.getHeapUsage")["usedSize"]
        return cls(int(heap), counters["nodes"], counters["jsEventListeners"])


def test_an_hour_of_updates_leaves_the_page_as_large_as_before(open_page: Open, edge: FakeEdge) -> None:
    """720 documents with other keys, jobs and numbers each: heap, nodes and listeners stay what they were."""
    page = open_page("/dashboard?range=5m")
    wait_until(lambda: edge.listeners == 1)
    page.locator("#requests").get_by_text("Table").click()
    session = page.context.new_cdp_session(page)
    _feed(page, edge, 0, WARM_UP)
    before = Held.by(session)

    _feed(page, edge, WARM_UP, WARM_UP + HOUR)

    after = Held.by(session)
    print(f"\n{before} -> {after}")
    assert after.heap - before.heap < MAX_GROWN_BYTES
    assert after.nodes - before.nodes < MAX_GROWN_NODES
    assert after.listeners <= before.listeners


def _feed(page: Page, edge: FakeEdge, first: int, last: int) -> None:
    for tick in range(first, last):
        edge.push(_document(tick))
    seen = "text => document.querySelector('#tile-rate .more').textContent === text"
    page.wait_for_function(seen, arg=f"{last:,} in 5 minutes", timeout=120_000)


def _document(tick: int) -> sample.Document:
    document = sample.document(range_s=300, now_ms=sample.NOW_MS + tick * sample.STEP_S * 1000, tick=tick)
    document["totals"]["requests"] = tick + 1
    for place, row in enumerate(document["hot"]):
        row["key"] = f"K{tick * 3 + place}"
    document["runs"][0]["id"] = f"run-{tick}"
    document["runs"][0]["done"] = tick
    return document
