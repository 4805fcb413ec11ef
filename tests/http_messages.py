"""HTTP/1.1 messages of known length on asyncio's streams, for balancers and callers that must not hide anything."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response; header names in lower case."""

    start: str
    headers: dict[str, str]
    body: bytes

    @property
    def status(self) -> int:
        """Of a response."""
        return int(self.start.split()[1])

    @property
    def is_last(self) -> bool:
        """Whether its sender closes the connection behind it."""
        return self.headers.get("connection", "").lower() == "close"

    def encoded(self) -> bytes:
        """For another connection: what is about the one that it came from is left out."""
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers.items() if name != "connection")]
        return "\r\n".join(lines).encode("latin-1") + _END + self.body


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """The next message; None if the other side closes the connection before its first byte.

    Raises:
        EOFError: the connection ended in the middle of one.
    """
    try:
        head = await reader.readuntil(_END)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    start, *lines = head.removesuffix(_END).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return Message(start, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
