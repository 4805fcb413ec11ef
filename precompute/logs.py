"""What our processes write to their logs: lines for people, or one JSON document a line for programs."""

from __future__ import annotations

import logging
import os
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal, TextIO

import orjson

LogFormat = Literal["text", "json"]

#: What the request at hand is called, if one is.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")


class TextLines(logging.Formatter):
    """A time, a level and what happened; the request behind it where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line, before any traceback."""
        line = super().formatMessage(record)
        name = REQUEST_ID.get()
        return f"{line} (request {name})" if name else line


class JsonLines(logging.Formatter):
    """One document for each record, a traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        document: dict[str, object] = {
            "at": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": os.getpid(),
            "message": record.getMessage(),
        }
        if name := REQUEST_ID.get():
            document["request_id"] = name
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(document, default=str).decode()


def set_up_logging(log_format: LogFormat, stream: TextIO) -> None:
    """Has everything from INFO on written to a stream; for entry points."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
