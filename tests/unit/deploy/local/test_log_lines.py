from __future__ import annotations

import io

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
