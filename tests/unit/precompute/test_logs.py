"""What is written to logs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from precompute.logs import REQUEST_ID, JsonLines, TextLines


@pytest.fixture
def in_a_request() -> Iterator[None]:
    """As if a request were being answered."""
    token = REQUEST_ID.set("r-1")
    yield
    REQUEST_ID.reset(token)


def record(message: str, *args: object) -> logging.LogRecord:
    """Something that was logged."""
    return logging.LogRecord("edge.app", logging.WARNING, "app.py", 1, message, args, None)


def test_a_json_line_says_when_where_and_what() -> None:
    """One document on one line, whatever the message holds."""
    line = JsonLines().format(record("cannot load %s\nat all", "late"))

    document = json.loads(line)
    assert "\n" not in line
    assert document.keys() == {"at", "level", "logger", "pid", "message"}
    assert (document["level"], document["logger"]) == ("warning", "edge.app")
    assert document["message"] == "cannot load late\nat all"
    assert document["at"].endswith("Z")


def test_a_traceback_belongs_to_its_line() -> None:
    """Programs read line by line."""
    failed = record("failed")
    failed.exc_info = (ZeroDivisionError, ZeroDivisionError("no"), None)

    document = json.loads(JsonLines().format(failed))

    assert "ZeroDivisionError: no" in document["exception"]


def test_what_is_logged_for_a_request_names_it(in_a_request: None) -> None:
    """In both forms."""
    text, line = TextLines().format(record("odd")), JsonLines().format(record("odd"))

    assert text.endswith("WARNING odd (request r-1)")
    assert json.loads(line)["request_id"] == "r-1"


def test_lines_for_people_stay_as_they_are() -> None:
    """A time, a level and what happened."""
    assert TextLines().format(record("odd"))[8:] == " WARNING odd"
