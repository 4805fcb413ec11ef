"""The dashboard in a real browser: it loads, it tells the numbers, and its address says what it shows."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser import sample_models
from tests.browser.conftest import Open
from tests.browser.fake_edge import FakeEdge
from tests.waiting import wait_until

MAX_TRANSFER_BYTES = 300 * 1024


def test_the_page_loads_without_a_complaint_and_is_small(open_page: Open) -> None:
    """No error or warning in the console, no failed request, nothing from elsewhere, and under 300 KB in all."""
    page = open_page()

    entries = page.evaluate("performance.getEntries().filter(e => e.transferSize).map(e => [e.name, e.transferSize])")

    assert len(entries) > 20
    assert all(name.startswith("http://127.0.0.1:") for name, _ in entries)
    assert sum(size for _, size in entries) < MAX_TRANSFER_BYTES


def test_the_headline_numbers_are_those_of_the_document(open_page: Open, edge: FakeEdge) -> None:
    """In the units in which people think."""
    totals = edge.document({"range_s": "900"})["totals"]

    page = open_page()

    assert _tile(page, "fresh") == ("93.1 %", "costs 1.92 rows a request")
    assert _tile(page, "hits")[0] == "94.1 %"
    assert _tile(page, "rate")[1] == f"{totals['requests']:,} in 15 minutes"
    assert _tile(page, "p99") == ("1.84 ms", "p50 0.11 ms, p99.9 6.20 ms")
    assert _tile(page, "false") == ("0", "of 4,000 checked 3 min ago")


def test_what_is_wrong_is_told_in_words_worst_first(open_page: Open, edge: FakeEdge) -> None:
    """Each problem with a link to where it shows; the title counts them."""
    nodes = edge.document({"range_s": "900"})["nodes"]
    nodes[1] |= {"alive": False, "last_seen_ms": nodes[1]["last_seen_ms"] - 40_000}
    edge.changes = {"nodes": nodes, "leader": None}

    page = open_page()

    expect(page.locator("#health-words")).to_have_text("3 things need attention")
    told = page.locator("#health-list li").all_inner_texts()
    assert re.fullmatch(r"Edge edge-iad:8300 is silent; it was last seen 42.s ago", told[0])
    assert told[1:] == [
        "View weather spends its error budget 1.69 × too fast",
        "No scheduler leads: jobs do not start by themselves",
    ]
    assert page.title() == "(3) nearcast"


def test_all_is_well_when_nothing_is_wrong(open_page: Open, edge: FakeEdge) -> None:
    """One line, and no list."""
    edge.changes = {"views": []}

    page = open_page()

    expect(page.locator("#health-words")).to_have_text("All is well")
    expect(page.locator("#health-list")).to_be_hidden()


def test_the_range_is_in_the_address_and_the_back_button_works(open_page: Open, edge: FakeEdge) -> None:
    """Without loading the page anew."""
    page = open_page()
    page.evaluate("window.same = true")

    page.get_by_role("link", name="1h").click()
    wait_until(lambda: {"range_s": "3600"} in edge.asked)
    there = page.url
    page.go_back()
    wait_until(lambda: [query["range_s"] for query in edge.asked] == ["900", "3600", "900"])

    assert there.endswith("/dashboard?range=1h")
    assert page.url.endswith("/dashboard")
    assert page.evaluate("window.same")
    expect(page.locator("#ranges [aria-current]")).to_have_text("15m")


def test_a_node_can_be_chosen_in_two_places(open_page: Open, edge: FakeEdge) -> None:
    """From the list and from the table; the address names it, and a copied address shows it."""
    page = open_page()

    page.get_by_label("Show").select_option("edge-iad:8300")
    wait_until(lambda: edge.asked[-1].get("node") == "edge-iad:8300")
    page.locator("#nodes").get_by_role("link", name="edge-fra:8300").click()
    wait_until(lambda: edge.asked[-1].get("node") == "edge-fra:8300")
    copied = open_page("/dashboard" + page.url.partition("/dashboard")[2])

    assert copied.get_by_label("Show").input_value() == "edge-fra:8300"
    assert edge.asked[-1] == {"range_s": "900", "node": "edge-fra:8300"}


def test_the_theme_follows_the_system_until_one_is_chosen(open_page: Open) -> None:
    """The choice outlives the page, and the charts are painted anew."""
    page = open_page(scheme="dark")
    dark = _background(page)

    page.get_by_role("button", name="Use the light theme").click()
    light = _background(page)
    page.reload()
    page.wait_for_selector("#live[data-state=live]")

    assert (dark, light) == ("rgb(13, 17, 23)", "rgb(245, 246, 248)")
    assert _background(page) == light
    expect(page.get_by_role("button", name="Use the dark theme")).to_be_visible()


def test_the_hottest_keys_come_first_and_the_others_on_demand(open_page: Open, edge: FakeEdge) -> None:
    """Ten, and then all of them."""
    hot = edge.document({"range_s": "900"})["hot"][0]
    edge.changes = {"hot": [{**hot, "key": f"K{i}"} for i in range(25)]}
    page = open_page()
    rows = page.locator("#hot tbody tr")
    expect(rows).to_have_count(10)

    page.get_by_role("button", name="Show all 25").click()

    expect(rows).to_have_count(25)
    expect(page.get_by_role("button", name="Show 10")).to_have_attribute("aria-expanded", "true")


def test_experiments_are_told_with_their_check_and_what_they_came_to(open_page: Open, edge: FakeEdge) -> None:
    """Each that runs by arm, with bounds; those that are over in short; what does not run is a problem."""
    page = open_page()
    running = page.locator("#running .experiment")
    expect(running).to_have_count(2)

    first = running.first
    expect(first.locator("h4")).to_have_text("faster")
    expect(first.locator(".badge")).to_have_text("sample ratio as declared, p = 0.62")
    expect(first.locator(".badge")).to_have_attribute("data-level", "ok")
    assert _cells(first, "quick") == [
        "variant fast",
        "50.0 %",
        "50.2 % (47.4–53.0 %)",
        "604",
        "61,877",
        "93.0 % (91.8–94.2 %)",
        "0.61 ms (0.57–0.65 ms)",
    ]
    expect(running.nth(1).locator(".badge")).to_have_text("too few units to check the ratio")
    assert _cells(page.locator("#ended"), "smaller")[1:] == [
        "stopped 1 d 1 h ago",
        "control 1,204,331, quick 1,199,872",
    ]

    now_ms = edge.document({"range_s": "900"})["now_ms"]
    edge.push({**edge.document({"range_s": "900"}), "experiments": sample_models.troubled(now_ms)})

    expect(running).to_have_count(1)
    expect(first.locator(".badge")).to_have_attribute("data-level", "bad")
    expect(page.locator("#running")).to_contain_text("misspelt does not run: model: no model 'later'")
    expect(page.locator("#health-list")).to_contain_text("Experiment faster: its arms do not get the units")


def test_models_are_told_with_what_routing_and_memory_make_of_them(open_page: Open, edge: FakeEdge) -> None:
    """Latency by tier, choices and how many of them were late, loaded or not; many of them on demand."""
    page = open_page()

    row = page.locator("#models tbody tr").first
    told = [cell.replace("\u202f", " ") for cell in row.locator("td").all_inner_texts()]

    assert told[4:11] == ["81.0 %", "0.21 ms", "0.93 ms", "0.71 ms", "0.76 ms", "24,310, 12 late", "4 of 4, 13 MiB"]
    assert page.locator("#models tbody tr").nth(1).locator("td").nth(10).inner_text() == "no"
    expect(page.locator("#models .fact")).to_be_hidden()
    many = [{**sample_models.models()[0], "model": f"m{n}"} for n in range(300)]
    edge.push({**edge.document({"range_s": "900"}), "models": many, "models_left_out": 42})
    expect(page.locator("#models tbody tr")).to_have_count(20)
    expect(page.get_by_role("button", name="Show all 300")).to_be_visible()
    expect(page.locator("#models .fact")).to_contain_text("42 variants of models")


def test_breakers_that_are_open_come_first_and_are_a_problem(open_page: Open, edge: FakeEdge) -> None:
    """With since when and why; a link leads there; one model is one problem, in however many processes."""
    now_ms = edge.document({"range_s": "900"})["now_ms"]
    told = sample_models.breakers(now_ms)
    edge.changes = {"views": [], "breakers": [*told, {**told[1], "process": 2}]}

    page = open_page()

    rows = page.locator("#breakers tbody tr")
    expect(rows).to_have_count(4)
    states = page.locator("#breakers .badge").all_inner_texts()
    assert states == ["given up", "open", "on trial", "open"]
    expect(rows.nth(1)).to_contain_text("indices element out of data bounds")
    expect(page.locator("#health-words")).to_have_text("3 things need attention")
    page.locator("#health-list a").first.click()
    assert page.url.endswith("#breakers")
    expect(page.locator("#breakers")).to_be_in_viewport()


def test_a_key_made_of_markup_is_shown_as_text(open_page: Open) -> None:
    """In the table, in the search box and on its own page; nothing of it runs."""
    page = open_page()

    page.locator("#hot").get_by_role("link", name="<script>").click()

    page.wait_for_selector(".ladder")
    assert page.locator(".asked code").inner_text() == "<script>document.title='owned'</script>:EWR"
    assert page.title() != "owned"
    assert page.locator("main script").count() == 0


def test_a_refused_stream_is_replaced_by_asking(open_page: Open, edge: FakeEdge, complaints: list[str]) -> None:
    """Every few seconds, and the page says so."""
    edge.streams = False
    page = open_page(clock=True)
    expect(page.locator("#live-text")).to_contain_text("Polling")

    page.clock.run_for(5_500)
    wait_until(lambda: len(edge.asked) == 2)

    wait_until(lambda: all("503" in text for text in complaints))
    complaints.clear()


def test_the_page_says_when_its_numbers_are_old(open_page: Open, edge: FakeEdge, complaints: list[str]) -> None:
    """Until the edge can be reached again."""
    page = open_page(clock=True)

    page.context.set_offline(True)
    page.clock.run_for(13_000)

    expect(page.locator("#live-text")).to_have_text(re.compile("Disconnected · updated 1[2-4].s ago"))
    expect(page.locator("#health-words")).to_have_text("No news: these numbers are old")
    page.context.set_offline(False)
    page.clock.run_for(5_500)
    expect(page.locator("#health-words")).to_have_text("One thing needs attention")
    assert all("INTERNET_DISCONNECTED" in text for text in complaints)
    complaints.clear()


def _tile(page: Page, name: str) -> tuple[str, str]:
    value, more = (page.locator(f"#tile-{name} .{part}").inner_text() for part in ("value", "more"))
    return value.replace("\u202f", " "), more.replace("\u202f", " ")


def _cells(within: Locator, name: str) -> list[str]:
    row = within.get_by_role("row").filter(has=within.page.get_by_role("rowheader", name=name, exact=True))
    return [cell.replace("\u202f", " ") for cell in row.get_by_role("cell").all_inner_texts()]


def _background(page: Page) -> str:
    found: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return found
