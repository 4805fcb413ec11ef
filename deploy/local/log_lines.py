"""One log out of many: each line carries the name of the process it came from."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TextIO

#: The name our own lines carry.
OURSELVES = "nearcast"

#: Readable on dark and on light ground: cyan, yellow, green, magenta, blue, and their bright twins.
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)

#: A line longer than this is cut into several, so that no child makes us hold more.
_MAX_LINE_BYTES = 16_384

#: As many lines as help to see why a child ended.
_TAIL_LINES = 20


class LogLines:
    """Writes whole lines to one stream, from any thread; coloured if the stream is a terminal.

    As JSON each is a document that names its process: the one that the process wrote, or one made of its line.
    """

    def __init__(self, stream: TextIO, names: Iterable[str], *, as_json: bool = False) -> None:
        self._as_json = as_json
        names = list(names)
        self._stream: TextIO | None = stream
        self._lock = threading.Lock()
        self._coloured = stream.isatty()
        self._width = max(map(len, names), default=0)
        self._colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}

    def write(self, name: str, line: str) -> None:
        """Writes one line of `name`."""
        text = f"{_document(name, line)}\n" if self._as_json else f"{self._prefix(name)} {line}\n"
        with self._lock:
            if self._stream is None:
                return
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):
                # The reader is gone (`nearcast up | head`). The children's pipes must still be emptied, or
                # they block.
                self._stream = None

    def _prefix(self, name: str) -> str:
        label = f"{name:<{self._width}} |"
        return f"\x1b[{self._colours.get(name, 0)}m{label}\x1b[0m" if self._coloured else label


def _document(name: str, line: str) -> str:
    part = json.dumps({"part": name})
    if line.startswith('{"'):
        return f"{part[:-1]}, {line[1:]}"
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"part": name, "at": at, "message": line})


class LogPump:
    """Moves a process's output into the log and keeps its last lines."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: LogLines) -> None:
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._thread = threading.Thread(target=self._run, args=(name, process, log), name=f"log of {name}", daemon=True)
        self._thread.start()

    def finish(self, timeout_s: float) -> None:
        """Waits for the end of the output, but not longer than `timeout_s`."""
        self._thread.join(timeout_s)

    def _run(self, name: str, process: subprocess.Popen[bytes], log: LogLines) -> None:
        assert process.stdout is not None  # noqa: S101 - opened as a pipe
        with process.stdout as output:
            while line := output.readline(_MAX_LINE_BYTES):
                text = line.decode(errors="replace").rstrip("\r\n")
                self.tail.append(text)
                log.write(name, text)
