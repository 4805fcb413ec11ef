"""`nearcast check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.cli.run import run
from tests.small_project import TEXT

Captured = pytest.CaptureFixture[str]

WRONG = TEXT.replace('"thing.v"', '"thing.w"').replace("other = {}", "other = { quality = -1 }")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A project file without mistakes."""
    path = tmp_path / "good.toml"
    path.write_text(TEXT)
    return path


def test_a_good_file_is_summed_up(good: Path, capsys: Captured) -> None:
    """Views, models, the shape of keys, and what depends on what."""
    status = run(["check", str(good)])

    out = capsys.readouterr().out
    assert status == 0
    assert all(word in out for word in ("thing", "float32[2]", "score", "<thing>", "thing={thing}", "other"))


def test_a_good_file_is_one_json_document_for_programs(good: Path, capsys: Captured) -> None:
    """Nothing else stands on standard output."""
    run(["check", str(good), "--json"])

    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is True
    assert document["models"][0]["depends_on"] == {"thing": "{thing}"}
    assert document["views"][0]["fields"]["v"] == "float32[2]"


def test_every_mistake_is_named_with_file_table_and_key(tmp_path: Path, capsys: Captured) -> None:
    """One line each, status 2."""
    path = tmp_path / "wrong.toml"
    path.write_text(TEXT.replace('"thing.v"', '"thing.w"').replace("{thing}", "{thing}").replace('["thing"]', '["x"]'))

    status = run(["check", str(path)])

    lines = capsys.readouterr().err.splitlines()
    assert status == 2
    assert len(lines) >= 2
    assert all(line.startswith(f"nearcast: {path}: [models.score") for line in lines)


def test_mistakes_are_data_for_programs(tmp_path: Path, capsys: Captured) -> None:
    """An editor can jump to them."""
    path = tmp_path / "wrong.toml"
    path.write_text(WRONG)

    status = run(["check", str(path), "--json"])

    document = json.loads(capsys.readouterr().out)
    assert (status, document["ok"]) == (2, False)
    assert document["problems"][0].keys() == {"file", "table", "key", "message"}


def test_the_file_may_come_from_the_environment(good: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """As for every other command."""
    monkeypatch.setenv("NEARCAST_PROJECT", str(good))

    assert run(["check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == str(good)


def test_experiments_are_summed_up_too(tmp_path: Path, capsys: Captured) -> None:
    """For people and for programs."""
    path = tmp_path / "tried.toml"
    arms = "arms = { old = { variant = 'default' }, young = { variant = 'other', share = 3 } }"
    path.write_text(f"{TEXT}\n[experiments.trial]\nmodel = 'score'\n{arms}\n")

    run(["check", str(path), "--json"])
    document = json.loads(capsys.readouterr().out)
    run(["check", str(path)])

    assert document["experiments"] == [
        {"name": "trial", "model": "score", "layer": "score", "slice": [0, 1], "arms": {"old": 0.25, "young": 0.75}}
    ]
    assert "trial" in capsys.readouterr().out
