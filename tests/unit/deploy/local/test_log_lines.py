from __future__ import annotations

import io
import json

from deploy.local.log_lines import LogLines


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_each_line_carries_the_padded_name_of_its_process() -> None:
    """Names are padded to one width, so that the text lines up."""
    stream = io.StringIO()
    log = LogLines(stream, ["edge", "scheduler"])

    log.write("edge", "hello")
    log.write("scheduler", "ready")

    assert stream.getvalue() == "edge      | hello\nscheduler | ready\n"


def test_a_terminal_gets_a_colour_for_each_name() -> None:
    """Different processes have different colours, on a terminal only."""
    stream = Terminal()
    log = LogLines(stream, ["edge", "worker"])

    log.write("edge", "a")
    log.write("worker", "b")

    assert stream.getvalue() == "\x1b[36medge   |\x1b[0m a\n\x1b[33mworker |\x1b[0m b\n"


def test_a_reader_that_went_away_does_not_stop_the_stack() -> None:
    """Writing to a closed pipe ends the writing, not the process."""
    log = LogLines(Broken(), ["edge"])

    log.write("edge", "a")
    log.write("edge", "b")


def test_as_json_each_line_is_a_document_that_names_its_process() -> None:
    """A process's own document is kept as it is; a line of one that knows no JSON becomes one."""
    stream = io.StringIO()
    log = LogLines(stream, ["edge", "primary"], as_json=True)

    log.write("edge", '{"level":"info","message":"ready"}')
    log.write("primary", "Ready to accept connections")

    edge, primary = map(json.loads, stream.getvalue().splitlines())
    assert edge == {"part": "edge", "level": "info", "message": "ready"}
    assert (primary["part"], primary["message"]) == ("primary", "Ready to accept connections")
    assert primary["at"].endswith("Z")
