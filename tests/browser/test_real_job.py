"""A declared job is run from the page of a real edge, by a real scheduler and a real worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from deploy.local.redis_pair import RedisPair
from tests.browser.conftest import watch
from tests.edge_process import Edge, address, edge_process
from tests.edge_project import MANIFEST, EdgeProject, graph
from tests.roles import role
from tests.waiting import wait_until

TOKEN = "only-for-people-who-may"
TEXT = (
    MANIFEST
    + """
[jobs.nightly]
model = "late"
keys = "keys.txt"
cron = "0 3 * * *"
"""
)
#: An order taken, a run, and a bucket.
_SEEN_WITHIN_MS = 45_000


@pytest.fixture
def edge(clean_redis: RedisPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edge]:
    """An edge that knows the token, and those who do the work."""
    (tmp_path / "keys.txt").write_text("F1:EWR\nF2:EWR\n")
    project = EdgeProject.declare(tmp_path, clean_redis, TEXT, {("late", "default"): graph("late")})
    project.put_flights(["F1", "F2"], [1.0, 2.0])
    project.put_weather({"EWR": 3.0})
    # Only now: settings that hold a secret do not write it down for others.
    monkeypatch.setenv("NEARCAST_ADMIN_TOKEN", TOKEN)
    with ExitStack() as roles:
        for name in ("worker", "scheduler"):
            roles.enter_context(role(name, project.settings))
        edge = roles.enter_context(edge_process(project.settings))
        wait_until(lambda: edge.get("/dashboard/data?range_s=300").json()["leader"], 30.0, "no scheduler leads")
        yield edge


def test_a_job_is_run_from_the_page_and_seen_to_have_run(edge: Edge, browser: Browser, complaints: list[str]) -> None:
    """Its row tells the run, without anybody touching the page again."""
    page = browser.new_page()
    watch(page, complaints)
    page.goto(f"{address(edge.role)}/dashboard?range=5m")
    row = page.locator("#jobs tbody tr")

    row.get_by_role("button", name="Run now").click()
    page.get_by_label("Token", exact=True).fill(TOKEN)
    page.keyboard.press("Enter")

    expect(page.locator("#toast")).to_have_text("nightly has been asked to run.")
    expect(row).to_contain_text("2 of 2", timeout=_SEEN_WITHIN_MS)
    expect(row).to_contain_text("finished")
    page.close()
    assert not complaints
