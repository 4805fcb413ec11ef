"""Charts: what is missing is missing in them, and everything in them can be had without eyes or a mouse."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.fake_edge import FakeEdge
from tests.browser.sample import GAP

#: The colours and their pixels in one column of a chart's canvas, at a share of its width behind the axis.
_COLUMN = """([id, share, axis]) => {
  const canvas = document.querySelector(`#${id} canvas`);
  const scale = canvas.width / canvas.clientWidth;
  const x = Math.round((axis + share * (canvas.clientWidth - axis - 12)) * scale);
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const pixels = copy.getImageData(x, 0, 1, canvas.height - Math.ceil(28 * scale)).data;
  const found = new Map();
  for (let i = 0; i < pixels.length; i += 4) {
    const colour = pixels.slice(i, i + 3).join();
    if (pixels[i + 3]) found.set(colour, (found.get(colour) ?? 0) + 1);
  }
  return [...found];
}"""
_AXIS_PX = 50


@pytest.mark.parametrize("chart", ["hit-ratio", "requests", "errors", "latency-memory", "lag"])
def test_a_gap_is_drawn_as_a_gap(open_page: Open, chart: str) -> None:
    """Nothing is drawn where nobody wrote, neither zeros nor a line across; beside it something is."""
    page = open_page()

    gap = _colours(page, chart, sum(GAP) / 2)
    beside = _colours(page, chart, 0.3)

    assert len(gap) <= 2, "more than the shade of a gap and the lines of the grid"
    assert len(beside) > len(gap)


def test_a_gap_is_told_and_tabled_as_a_gap(open_page: Open) -> None:
    """The summary counts the buckets without data; the table has dashes there."""
    page = open_page()
    chart = page.locator("#requests")

    chart.get_by_text("Table").click()

    summary = chart.locator(".plot").get_attribute("aria-label") or ""
    assert re.search(r"Requests by tier, last 15 minutes\. Now: memory [\d,]+/s, at most", summary)
    assert summary.endswith("12 buckets of 180 without data.")
    rows = chart.locator("tbody tr")
    assert rows.count() == 120
    missing = [row for row in rows.all_inner_texts() if row.split("\t")[1:] == ["–"] * 5]
    assert len(missing) == 12


def test_a_series_without_any_value_is_not_zero(open_page: Open, edge: FakeEdge) -> None:
    """A fleet nobody has heard of has no numbers, and says so."""
    document = edge.document({"range_s": "900"})
    nothing = [None] * len(document["times_ms"])
    spreads = {name: {"p50": nothing, "p99": nothing} for name in ("update_to_stale_ms", "update_to_refreshed_ms")}
    plain = dict.fromkeys(("replica_lag_s", "errors_per_s", "shed_per_s"), nothing)
    totals = dict.fromkeys(document["totals"], None) | {"tiers": {}, "requests": 0}
    edge.changes = {
        "series": {**document["series"], **spreads, **plain, "requests_per_s": {}},
        "totals": totals,
        "nodes": [],
    }

    page = open_page()

    expect(page.locator("#health-more")).to_have_text("No edge has written yet")
    assert page.locator("#tile-lag-now .value").inner_text() == "–"
    assert page.locator("#tile-rate .value").inner_text() == "–"
    assert page.locator("#requests .legend b").all_inner_texts() == ["–"] * 5


def test_nothing_to_tell_is_not_silence(open_page: Open, edge: FakeEdge) -> None:
    """A tier that answered nobody has no latency, but its node did write: no gap is drawn or counted for that."""
    document = edge.document({"range_s": "900"})
    nothing = dict.fromkeys(("p50", "p95", "p99", "p999"), [None] * len(document["times_ms"]))
    latencies = document["series"]["latency_ms"] | {"replica": nothing}
    edge.changes = {"series": document["series"] | {"latency_ms": latencies}}

    page = open_page()

    summary = page.locator("#latency-replica .plot").get_attribute("aria-label") or ""
    assert "p50 –" in summary
    assert summary.endswith("12 buckets of 180 without data.")
    shade = max(_colours(page, "latency-replica", sum(GAP) / 2).items(), key=lambda pixels: pixels[1])[0]
    assert shade not in _colours(page, "latency-replica", 0.3)


def test_arrow_keys_move_one_cursor_through_all_charts(open_page: Open) -> None:
    """The legends tell the values there; Escape brings back the latest."""
    page = open_page()
    latest = _legends(page)

    page.locator("#requests .plot").focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    there = page.locator(".hovered").all_inner_texts()
    moved = _legends(page)
    page.keyboard.press("Escape")

    assert set(there) == {"14:13:00"}
    assert moved != latest
    assert _legends(page) == latest


def test_a_series_can_be_hidden(open_page: Open) -> None:
    """Its name in the legend is a button that says whether it is shown."""
    page = open_page()
    button = page.locator("#requests").get_by_role("button", name="memory")
    blue, before = _largest(page), page.evaluate("document.querySelector('#requests canvas').toDataURL()")

    button.click()

    expect(button).to_have_attribute("aria-pressed", "false")
    assert page.evaluate("document.querySelector('#requests canvas').toDataURL()") != before
    assert _largest(page) != blue


def _colours(page: Page, chart: str, share: float) -> dict[str, int]:
    return dict(page.evaluate(_COLUMN, [chart, share, _AXIS_PX]))


def _largest(page: Page) -> str:
    colours = _colours(page, "requests", 0.3)
    return max(colours, key=lambda colour: colours[colour])


def _legends(page: Page) -> list[str]:
    return page.locator(".legend b").all_inner_texts()
