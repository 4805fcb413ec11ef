"""`nearcast audit` at honest edges, and at ones that are not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import httpx
import pytest

from deploy.audit.auditor import Auditor
from deploy.audit.edges import EdgeClient
from deploy.cli.run import run
from deploy.local.redis_pair import RedisPair
from precompute import audit_note, manifest
from precompute.features import Features, Row
from precompute.registry import Registry
from precompute.settings import Settings
from precompute.store import Store
from tests import onnx_models
from tests.edge_process import address, edge_process
from tests.roles import Role
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

MANIFEST = """
[project]
name = "audited"
[views.user.fields]
x = "float32[2]"
[views.shop.fields]
y = { type = "float32", missing = "nan" }
[models.score]
key = ["user"]
all_keys = { view = "user", parts = { user = "$entity" } }
inputs = { x = "user.x" }
policy = { max_lag_s = 0.2 }
[models.unborn]
key = ["shop"]
inputs = { x = "shop.y" }
"""
USERS = [f"u{i}" for i in range(20)]

Audit = Callable[..., tuple[int, dict[str, Any], str]]


class Shop:
    """Twenty users with their rows and a published model."""

    def __init__(self, directory: Path, pair: RedisPair) -> None:
        path = directory / "nearcast.toml"
        path.write_text(MANIFEST)
        self.settings = Settings(project=path, primary_url=pair.primary_url, replica_url=pair.replica_url)
        self.project = manifest.load(path)
        self.store = Store(pair.primary_url)
        self.features = Features(self.store, self.project)
        Registry(self.store, self.project).publish("score", "default", onnx_models.mlp((2, 4, 1)), now_ms=1)
        self.put(0.5)

    def put(self, value: float) -> None:
        """Every user changes."""
        assert self.features.put("user", [Row(user, {"x": [value, 1.0]}, 1) for user in USERS]).written == len(USERS)

    def pass_the_allowed_lag(self) -> None:
        """Waits until the primary's clock has moved on beyond what the model's policy allows."""
        began = self._clock_s()
        wait_until(lambda: self._clock_s() - began > 0.25)

    def _clock_s(self) -> float:
        seconds, micros = self.store.call("TIME")
        return int(seconds) + int(micros) / 1e6


@contextmanager
def forgetful(url: str, *, says_stale: bool = False) -> Iterator[str]:
    """An edge that repeats its first answer for ever, as caches do that nobody tells of a change; its URL."""
    answers: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body go out apart, and the second would wait for a delayed acknowledgement of the first.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = answers.get(self.path) or answers.setdefault(self.path, httpx.get(url + self.path).content)
            if says_stale:
                body = body[:-1] + b',"stale":true}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def shop(tmp_path: Path, clean_redis: RedisPair) -> Iterator[Shop]:
    """The shop, on a clean pair."""
    built = Shop(tmp_path, clean_redis)
    yield built
    built.store.close()


@pytest.fixture
def edge(shop: Shop) -> Iterator[Role]:
    """An honest edge."""
    with edge_process(shop.settings) as running:
        yield running.role


@pytest.fixture
def audit(shop: Shop, edge: Role, capsys: pytest.CaptureFixture[str]) -> Audit:
    """Runs the command at some URLs, the honest edge's by default; status, document and messages."""
    settings = shop.settings

    def command(*urls: str, samples: int = 40) -> tuple[int, dict[str, Any], str]:
        where = [f"--url={url}" for url in urls or [address(edge)]]
        options = ["--project", str(settings.project), "--primary", settings.primary_url, "--samples", str(samples)]
        status = run(["audit", "score", *options, *where, "--json"])
        out, err = capsys.readouterr()
        return status, json.loads(out) if out else {}, err

    return command


def test_an_honest_edge_passes(shop: Shop, audit: Audit) -> None:
    """Before and after a change of every row, no answer is falsely fresh."""
    before = audit()
    shop.put(0.9)
    shop.pass_the_allowed_lag()
    after = audit()

    for status, document, _ in (before, after):
        assert status == 0
        assert document["samples"] == document["fresh_answers"] == 40
        assert document["falsely_fresh"] == document["wrong"] == 0
        assert document["false_at_most"] == 0.075
        assert document["age_s"]["max"] < 60


def test_an_edge_that_is_never_told_of_changes_is_found_out(shop: Shop, edge: Role, audit: Audit) -> None:
    """What it repeats was right once; beyond the allowed lag it is falsely fresh, with the first examples named."""
    with forgetful(address(edge)) as url:
        status_before, before, _ = audit(url, samples=400)
        shop.put(0.9)
        shop.pass_the_allowed_lag()
        status, after, _ = audit(url, address(edge))

    assert (status_before, before["correct"]) == (0, 400)
    assert status == 1
    assert (after["falsely_fresh"], after["correct"], after["consistency"]) == (40, 40, 0.5)
    assert len(after["examples"]) == 10
    assert {example["edge"] for example in after["examples"]} == {url}
    assert all(example["behind_ms"] > 200 for example in after["examples"])


def test_what_an_audit_found_is_left_where_metrics_are_made_from_it(shop: Shop, edge: Role, audit: Audit) -> None:
    """The latest figures take the place of those before."""
    with forgetful(address(edge)) as url:
        audit(url, samples=400)
        before = audit_note.read(shop.store)
        shop.put(0.9)
        shop.pass_the_allowed_lag()
        audit(url)
        after = audit_note.read(shop.store)

    assert before is not None
    assert after is not None
    assert (before.checked, before.falsely_fresh) == (400, 0)
    assert (after.checked, after.falsely_fresh) == (40, 40)
    assert after.at_ms > before.at_ms


def test_honestly_stale_answers_pass(shop: Shop, edge: Role, audit: Audit) -> None:
    """They say so, and the audit says for how long they have been."""
    with forgetful(address(edge), says_stale=True) as url:
        audit(url, samples=400)
        shop.put(0.9)
        shop.pass_the_allowed_lag()
        status, document, _ = audit(url)

    assert status == 0
    assert (document["honestly_stale"], document["fresh_answers"]) == (40, 0)
    assert document["stale_for_s"]["p50"] > 0.2


@pytest.mark.parametrize(
    ("says_stale", "verdict"), [(False, "falsely_fresh"), (True, "not_forgotten")], ids=["as fresh", "as stale"]
)
def test_answers_from_deleted_rows_are_found_out(shop: Shop, edge: Role, says_stale: bool, verdict: str) -> None:
    """Honestly stale or not, nobody may be given a prediction made from a row that is gone."""
    model = shop.project.model("score")
    with forgetful(address(edge), says_stale=says_stale) as url:
        edges = [EdgeClient(url), EdgeClient(address(edge))]
        auditor = Auditor(shop.store, shop.project, [model], edges, Random(1))
        keys = [model.parse_key(user) for user in USERS]
        for key in keys:
            auditor.audit(model, key)
        assert shop.features.delete("user", USERS).deleted == len(USERS)
        shop.pass_the_allowed_lag()
        before = dict(auditor.report.counts)
        for key in keys:
            auditor.audit(model, key)

        for client in edges:
            client.close()

    gained = auditor.report.counts - type(auditor.report.counts)(before)
    assert gained == {verdict: len(USERS), "correct": len(USERS)}


def test_an_edge_that_is_gone_is_unavailable(audit: Audit, free_port: int) -> None:
    """No answer is no lie."""
    status, document, _ = audit(f"http://127.0.0.1:{free_port}", samples=4)

    assert (status, document["unavailable"], document["consistency"]) == (0, 4, None)


def test_without_its_primary_an_audit_judges_nothing(tmp_path: Path, own_redis_pair: RedisPair) -> None:
    """The edge answers on; that nobody can say whether it is right is counted."""
    shop = Shop(tmp_path, own_redis_pair)
    model = shop.project.model("score")
    with edge_process(shop.settings) as edge, closing(EdgeClient(address(edge.role))) as client:
        auditor = Auditor(shop.store, shop.project, [model], [client], Random(1))
        drawn = auditor.draw(4)
        own_redis_pair.primary.stop()
        for _, key in drawn:
            auditor.audit(model, key)

    assert auditor.report.counts == {"unjudged": 4}


def test_a_model_without_keys_or_versions_is_refused(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says what is missing."""
    where = ["--project", str(shop.settings.project), "--primary", shop.settings.primary_url]
    serves_none = run(["audit", "unborn", *where]), capsys.readouterr().err
    shop.features.delete("user", USERS)
    knows_none = run(["audit", *where]), capsys.readouterr().err

    assert serves_none == (1, "nearcast: unborn serves no version; nearcast model publish makes one\n")
    assert knows_none[0] == 1
    assert "no keys of score are known" in knows_none[1]
