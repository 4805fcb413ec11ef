"""A real edge serves the dashboard's page from its package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.redis_pair import RedisPair
from tests.edge_process import Edge, edge_process
from tests.edge_project import EdgeProject

pytestmark = pytest.mark.integration


@pytest.fixture
def edge(tmp_path: Path, clean_redis: RedisPair) -> Iterator[Edge]:
    """An edge of a small project."""
    published = EdgeProject.publish(tmp_path, clean_redis)
    with edge_process(published.settings) as running:
        yield running
    published.store.close()


def test_the_page_and_its_assets_are_served_and_nothing_beside_them(edge: Edge) -> None:
    """With their types; names that are no assets are problems like all others."""
    page = edge.get("/dashboard")
    script = edge.get("/dashboard/assets/dashboard.js")
    missing = [
        edge.get(f"/dashboard/assets/{name}") for name in ("index.html", "no.js", "../page.py", "%2e%2e/page.py")
    ]

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert {(m.status_code, m.headers["content-type"]) for m in missing} == {(404, "application/problem+json")}


def test_a_page_that_has_not_changed_is_not_sent_again(edge: Edge) -> None:
    """Its ETag is strong, and each use asks first."""
    first = edge.get("/dashboard")

    again = edge.get("/dashboard", if_none_match=f'"another", {first.headers["etag"]}')

    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["etag"].startswith('"')
    assert first.headers["cache-control"] == again.headers["cache-control"] == "no-cache"


def test_the_page_is_compressed_for_those_who_can_read_it(edge: Edge) -> None:
    """The same content, in fewer bytes, under another ETag."""
    plain = edge.get("/dashboard", accept_encoding="identity")
    zipped = edge.get("/dashboard", accept_encoding="gzip")

    assert plain.content == zipped.content
    assert "content-encoding" not in plain.headers
    assert int(zipped.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert plain.headers["etag"] != zipped.headers["etag"]
    assert plain.headers["vary"] == zipped.headers["vary"] == "accept-encoding"


def test_the_page_may_run_nothing_but_its_own_files(edge: Edge) -> None:
    """No inline script, nothing from elsewhere, no text that becomes markup, no frame around it."""
    policy = edge.get("/dashboard").headers["content-security-policy"]

    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["require-trusted-types-for"] == "'script'"
    assert rules["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy
