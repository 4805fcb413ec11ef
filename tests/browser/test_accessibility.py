"""The dashboard without a mouse, and without eyes."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open

#: What has the focus: its name as read aloud, and whether one sees that it has it.
_FOCUSED = """() => {
  const node = document.activeElement;
  const style = getComputedStyle(node);
  const label = node.labels?.[0]?.textContent;
  const name = node.getAttribute("aria-label") || label || node.textContent.trim() || node.id;
  return [name, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2, node === document.body];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("path", ["/dashboard", "/dashboard?why=late/UA1545:EWR"])
def test_axe_finds_no_fault(open_page: Open, path: str, width: int, scheme: Literal["light", "dark"]) -> None:
    """Names, roles, order of headings, landmarks and contrast, by the rules of axe-core."""
    page = open_page(path, width=width, scheme=scheme)
    page.wait_for_selector(".ladder" if "why" in path else "#hot tbody tr")

    found: dict[str, Any] = Axe().run(page).response

    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in found["violations"]] == []


def test_axe_finds_no_fault_in_open_tables_and_the_prompt(open_page: Open) -> None:
    """What is only there on demand."""
    page = open_page()
    page.locator("#requests").get_by_text("Table").click()
    page.locator("#jobs").get_by_role("button", name="Run now").first.click()

    found: dict[str, Any] = Axe().run(page).response

    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in found["violations"]] == []


def test_everything_is_reached_by_the_tab_key_and_seen_to_be(open_page: Open) -> None:
    """From the skip link to the last table; each stop has a name and a visible focus."""
    page = open_page()

    stops = list(_walk(page))

    names = [name for name, _ in stops]
    assert [name for name, visible in stops if not visible] == []
    assert names[0] == "Skip to the numbers"
    for wanted in ("5m", "24h", "Show", "Model", "Key", "Explain", "Use the dark theme", "Table", "Run now"):
        assert any(name.startswith(wanted) for name in names), wanted
    assert sum("Now:" in name for name in names) == 9


def test_the_skip_link_leads_to_the_numbers(open_page: Open) -> None:
    """Past the bar."""
    page = open_page()

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.locator("main")).to_be_focused()


def test_the_headline_is_read_aloud_but_not_every_five_seconds(open_page: Open) -> None:
    """Once a minute, or when the state changes."""
    page = open_page()

    spoken = page.locator("#spoken")

    expect(spoken).to_have_attribute("aria-live", "polite")
    expect(spoken).to_contain_text("One thing needs attention. View weather spends its error budget")


def _walk(page: Page) -> list[tuple[str, bool]]:
    stops: list[tuple[str, bool]] = []
    for _ in range(200):
        page.keyboard.press("Tab")
        name, visible, left = page.evaluate(_FOCUSED)
        if left:
            break
        stops.append((name, visible))
    return stops
