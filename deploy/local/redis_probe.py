"""Asks a starting server how it is.

A client library would bring pools, retries and timeouts of its own; here each question is one short
connection.
"""

from __future__ import annotations

import socket

from deploy.local.ports import LOOPBACK

_TIMEOUT_S = 2.0
_CHUNK = 65_536


def ask(port: int, command: str, *, timeout_s: float = _TIMEOUT_S) -> str:
    """The raw answer to one command of plain words, `-LOADING ...` and other errors included.

    Raises:
        OSError: nobody answers there in time.
    """
    with socket.create_connection((LOOPBACK, port), timeout=timeout_s) as connection:
        # QUIT makes the server close after its answer, so that the answer ends where the stream does.
        connection.sendall(f"{command}\r\nQUIT\r\n".encode())
        answer = b""
        while chunk := connection.recv(_CHUNK):
            answer += chunk
    return answer.decode(errors="replace").removesuffix("+OK\r\n").rstrip()


def info(port: int) -> dict[str, str]:
    """What the server says of itself, by field; empty if nobody answers."""
    try:
        lines = ask(port, "INFO").splitlines()
    except OSError:
        return {}
    return dict(line.split(":", 1) for line in lines if ":" in line)


def is_following(primary_port: int, replica_port: int) -> bool:
    """Whether the replica has its primary's data and is sent what changes.

    The replica's own word is not enough: its link is up a second before the primary sends it the first command.
    """
    if info(replica_port).get("master_link_status") != "up":
        return False
    replicas = [value.split(",") for name, value in info(primary_port).items() if name.startswith("slave")]
    return any(f"port={replica_port}" in said and "state=online" in said for said in replicas)
