"""HTTP as bytes on a socket: what a client library would never send, and exactly what comes back."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

_TIMEOUT_S = 20.0
#: What may differ from one answer to the next: the clock's headers, and seconds counted from or until something.
_CLOCKS = ("date", "server-timing")
_SECONDS = re.compile(r"(ttl=)-?\d+")


@dataclass(frozen=True, slots=True)
class Response:
    """One response as it arrived; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def steady(self) -> tuple[int, dict[str, str], bytes]:
        """Everything that does not depend on the moment."""
        headers = {name: _SECONDS.sub(r"\1N", value) for name, value in self.headers.items() if name not in _CLOCKS}
        if "age" in headers:
            headers["age"] = "N"
        if "allow" in headers:
            headers["allow"] = ", ".join(sorted(headers["allow"].split(", ")))
        # Each error has a name of its own.
        name = headers.pop("x-request-id", "none").encode()
        return self.status, headers, self.body.replace(b'"request_id":"%b"' % name, b'"request_id":"N"')


class Wire:
    """One connection."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._read = b""

    def send(self, data: bytes) -> None:
        """Writes all of it."""
        self.socket.sendall(data)

    def send_bytewise(self, data: bytes) -> None:
        """Writes it in packets of one byte."""
        for at in range(len(data)):
            self.socket.sendall(data[at : at + 1])

    def response(self, *, body: bool = True) -> Response:
        """The next response; `body` is false where there is none whatever its headers say.

        Raises:
            ConnectionError: the server hung up instead.
        """
        head = self._until(b"\r\n\r\n").decode("latin-1")
        status_line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        assert len(headers) == len(lines), f"a header twice: {lines}"
        status = int(status_line.split()[1])
        length = int(headers.get("content-length", "0")) if body and status not in (100, 204, 304) else 0
        while len(self._read) < length:
            self._more()
        content, self._read = self._read[:length], self._read[length:]
        return Response(status, headers, content)

    def is_at_end(self) -> bool:
        """Waits for the server to hang up; false if it sends something instead."""
        try:
            return not self._read and not self.socket.recv(1)
        except ConnectionResetError:
            return True

    def rest(self) -> bytes:
        """Everything until the server hangs up."""
        found, self._read = self._read, b""
        try:
            while chunk := self.socket.recv(1 << 16):
                found += chunk
        except ConnectionResetError:
            pass
        return found

    def _until(self, end: bytes) -> bytes:
        while end not in self._read:
            self._more()
        found, _, self._read = self._read.partition(end)
        return found + end

    def _more(self) -> None:
        chunk = self.socket.recv(1 << 16)
        if not chunk:
            raise ConnectionError(f"the server hung up behind {self._read!r}")
        self._read += chunk


@contextmanager
def wire(address: str) -> Iterator[Wire]:
    """A connection to `http://host:port`."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=_TIMEOUT_S) as connected:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Wire(connected)


def get(target: str, *headers: str, version: str = "1.1") -> bytes:
    """The bytes of a GET."""
    return request("GET", target, headers, version=version)


def request(method: str, target: str, headers: Iterable[str] = (), body: bytes = b"", version: str = "1.1") -> bytes:
    """The bytes of any request."""
    lines = [f"{method} {target} HTTP/{version}", "Host: edge.test", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
