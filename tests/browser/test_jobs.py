"""Jobs are run from the page by whoever has the admin token."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.fake_edge import TOKEN, FakeEdge
from tests.waiting import wait_until


def test_a_job_is_run_with_the_token_which_is_asked_for_once(
    open_page: Open, edge: FakeEdge, complaints: list[str]
) -> None:
    """A wrong one is asked for again; the right one stays in the page's memory and nowhere else."""
    page = open_page()
    run = page.locator("#jobs tbody tr").nth(1).get_by_role("button", name="Run now")
    token = page.get_by_label("Token", exact=True)

    run.click()
    token.fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#token-why")).to_have_text("That was not the token.")
    token.fill(TOKEN)
    page.get_by_role("button", name="Run hot-keys").click()
    expect(page.locator("#toast")).to_have_text("hot-keys has been asked to run.")
    run.click()
    wait_until(lambda: len(edge.ran) == 2)

    assert edge.ran == ["hot-keys", "hot-keys"]
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert TOKEN not in kept
    assert all("401" in text for text in complaints)
    complaints.clear()


def test_a_cancelled_prompt_runs_nothing(open_page: Open, edge: FakeEdge) -> None:
    """Whether by its button or by Escape, and whatever was typed."""
    page = open_page()
    run = page.locator("#jobs").get_by_role("button", name="Run now").first

    run.click()
    page.get_by_label("Token", exact=True).fill(TOKEN)
    page.get_by_role("button", name="Cancel").click()
    run.click()
    page.keyboard.press("Escape")

    expect(page.locator("#token-dialog")).to_be_hidden()
    assert edge.ran == []


def test_runs_show_how_far_they_are(open_page: Open) -> None:
    """In words, beside the bar."""
    page = open_page()

    row = page.locator("#runs tbody tr").inner_text().replace("\u202f", " ")

    assert "640,000 of 1,000,000 (64.0 %)" in row
    assert "15,600 rows/s" in row
