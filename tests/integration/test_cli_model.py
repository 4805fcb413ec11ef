"""`nearcast model` and `nearcast hot` against a real Redis."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.run import run
from deploy.local.redis_pair import RedisPair
from precompute.keys import hot_key
from precompute.store import Store
from tests import onnx_models
from tests.small_project import model, write_project

pytestmark = pytest.mark.integration

Captured = pytest.CaptureFixture[str]
Command = Callable[..., Any]


@pytest.fixture
def nearcast(clean_redis: RedisPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Command:
    """Runs a command with `--json` in a directory with the small project; returns its document."""
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEARCAST_PRIMARY_URL", clean_redis.primary_url)
    for seed in (1, 2):
        Path(f"{seed}.onnx").write_bytes(model(seed))

    def command(*arguments: str) -> Any:
        status = run([*arguments, "--json"])
        out, err = capsys.readouterr()
        assert status == 0, err
        return json.loads(out)

    return command


def test_versions_are_published_activated_and_rolled_back(nearcast: Command) -> None:
    """Numbers are given out once, and the newest publish serves unless told otherwise."""
    first = nearcast("model", "publish", "score", "1.onnx", "--note", "the first")
    second = nearcast("model", "publish", "score", "2.onnx", "--no-activate")
    activated = nearcast("model", "activate", "score", "2")
    back = nearcast("model", "rollback", "score")

    assert [(v["version"], v["serving"]) for v in (first, second, activated, back)] == [
        (1, True),
        (2, False),
        (2, True),
        (1, True),
    ]
    (listed,) = nearcast("model", "list")["models"]
    assert listed["active"] == {"default": 1}
    assert [(v["version"], v["note"], v["serving"]) for v in listed["versions"]] == [
        (1, "the first", True),
        (2, "", False),
    ]


def test_a_version_is_shown_with_its_signature(nearcast: Command) -> None:
    """Of what serves, or of any version."""
    nearcast("model", "publish", "score", "1.onnx")
    nearcast("model", "publish", "score", "2.onnx", "--variant", "other")

    shown, other = nearcast("model", "show", "score"), nearcast("model", "show", "score", "2")

    assert (shown["version"], shown["variant"], other["variant"]) == (1, "default", "other")
    assert [spec["name"] for spec in shown["signature"]["inputs"]] == ["x"]
    assert shown["depends_on"] == {"thing": "{thing}"}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (onnx_models.mlp((3, 1)), "the manifest feeds float32[N, 2], the model takes float32[N, 3]"),
        (model()[:100], "cannot load the model"),
        (b"", "cannot load the model"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(
    nearcast: Command, content: bytes, complaint: str, capsys: Captured
) -> None:
    """A mismatch shows both sides, and nothing is published."""
    Path("bad.onnx").write_bytes(content)

    status = run(["model", "publish", "score", "bad.onnx"])

    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert complaint in err
    assert nearcast("model", "list")["models"][0]["versions"] == []


def test_hot_keys_come_hottest_first(nearcast: Command, clean_redis: RedisPair) -> None:
    """As many as asked for."""
    store = Store(clean_redis.primary_url)
    store.call("ZADD", hot_key("score"), 1.5, "b", 2.5, "a", 0.5, "c")
    store.close()

    found = nearcast("hot", "score", "-n", "2")

    assert [(key["key"], key["requests_per_s"]) for key in found["keys"]] == [("a", 2.5), ("b", 1.5)]
