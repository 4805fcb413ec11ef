"""uvicorn's connection, ended in order: whatever was asked before is answered first, and nobody is left waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_LARGE_START = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
_TOO_LARGE_END = (
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 17\r\nconnection: close\r\n\r\nHeaders too long."
)


class OrderlyProtocol(HttpToolsProtocol):
    """One connection.

    Attributes:
        draining: every answer is the last one of its connection.
        seen_s: when bytes last came in; `sweep_idle` looks at it, which spares a timer for each answer.
    """

    draining = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Answers that leave in the next write.
        self._answers: list[bytes] = []
        #: Of a request whose headers, or a line of whose body, have not ended yet.
        self._unfinished_bytes = 0
        self._refusal: Callable[[], None] | None = None
        self.seen_s = time.perf_counter()

    def _flush(self) -> None:
        answers, self._answers = self._answers, []
        self.transport.write(b"".join(answers) if len(answers) > 1 else answers[0])

    def send_400_response(self, msg: str) -> None:
        """What was asked before the bad request is answered first."""
        self._refuse(partial(super().send_400_response, msg))

    def _send_431_response(self) -> None:
        head = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        self.transport.write(b"".join((_TOO_LARGE_START, *head, _TOO_LARGE_END)))
        self.transport.close()

    def _refuse(self, send: Callable[[], None]) -> None:
        cycle = self.cycle
        if self._answers:
            self._flush()
        if self.is_idle() or (cycle.more_body and not cycle.response_started and not self.pipeline):
            send()
        elif cycle.more_body:
            # The last request is the broken one, and a word of ours would be taken for the answer to one before it.
            self.transport.close()
        else:
            self._refusal = send
            self._unfinished_bytes = 0
            self.transport.pause_reading()

    def on_response_complete(self) -> None:
        """Called by cycles: the next one's turn. uvicorn's own would set a timer, where `sweep_idle` looks anyway."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal is not None:
            # What was read before the refused request has been answered.
            self._refusal()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop. What is still being answered knows this; this no longer knows it.

        Each would keep the other until the garbage collector comes by, and by then so many connections may have come
        and gone that the memory they took cannot be given back.
        """
        super().connection_lost(exc)
        self.cycle = None  # type: ignore[assignment]
        self.pipeline.clear()

    def is_idle(self) -> bool:
        """Whether nothing is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def begin_draining(self) -> None:
        """From now on every answer is the last one of its connection."""
        self.draining = True
        if not self.is_idle():
            self.cycle.keep_alive = False

    def hang_up(self) -> None:
        """Closes an idle connection, at once if its client does not even read."""
        if self.flow.write_paused:
            self.transport.abort()
        else:
            self.transport.close()
