"""One key explained on the page: which tier would answer, why not a nearer one, and what happened when."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.fake_edge import FakeEdge


def test_a_key_is_explained_from_the_search_box(open_page: Open) -> None:
    """Its address can be copied, and going back shows the numbers again."""
    page = open_page()

    page.get_by_label("Model", exact=True).fill("late")
    page.get_by_label("Key", exact=True).fill("UA1545:EWR?hour=17")
    page.get_by_role("button", name="Explain").click()

    expect(page.get_by_role("heading", level=1, name="It is computed when asked for")).to_be_visible()
    assert page.url.endswith("?why=late%2FUA1545%3AEWR%3Fhour%3D17")
    steps = [[line for line in text.splitlines() if line][:3] for text in page.locator(".ladder li").all_inner_texts()]
    assert steps[1][:2] == ["replica", "Passed over"]
    assert steps[1][2] == "weather EWR changed at 14:13:15"
    assert steps[3][:2] == ["live", "Answers"]
    page.get_by_role("link", name="All numbers").click()
    expect(page.locator("#overview")).to_be_visible()
    expect(page.locator("#why")).to_be_hidden()


def test_the_timeline_tells_what_happened_in_order(open_page: Open) -> None:
    """In words too: when each row changed, what the prediction knew, and when it expires."""
    page = open_page("/dashboard?why=late/UA1545:EWR")

    told = [text.replace("\u202f", " ").splitlines() for text in page.locator(".events li").all_inner_texts()]

    assert [line[-1] for line in told] == [
        "flight UA1545: event time of the row",
        "flight UA1545: row changed",
        "weather EWR: known to the prediction, older than the last change",
        "flight UA1545: known to the prediction",
        "entry in replica: version 7 computed",
        "weather EWR: event time of the row",
        "weather EWR: row changed",
        "entry in replica: past its TTL then",
        "next refresh: expected by then",
    ]
    assert told[6][:2] == ["14:13:15", "4 s ago"]
    places = page.eval_on_selector_all(".track .mark", "marks => marks.map(mark => parseFloat(mark.style.left))")
    assert all(0 < place < 100 for place in places)


def test_a_hot_key_leads_to_its_explanation(open_page: Open) -> None:
    """With the search box filled in."""
    page = open_page()

    page.locator("#hot").get_by_role("link", name="DL461:LGA:N668DN").click()

    expect(page.locator(".asked")).to_have_text("delay DL461:LGA:N668DN")
    assert page.get_by_label("Key", exact=True).input_value() == "DL461:LGA:N668DN"


def test_what_cannot_be_explained_is_said(open_page: Open, edge: FakeEdge, complaints: list[str]) -> None:
    """In the words of the edge."""
    page = open_page("/dashboard?why=unknown/A")

    expect(page.get_by_role("heading", level=1, name="This key cannot be explained")).to_be_visible()
    expect(page.locator("#why")).to_contain_text("there is no model 'unknown'")
    assert all("404" in text for text in complaints)
    complaints.clear()
