"""Free ports on loopback."""

from __future__ import annotations

import random
import socket

from precompute.errors import ConfigError

LOOPBACK = "127.0.0.1"

#: Below the range the kernel hands to outgoing connections (32768 and up on Linux). From inside that range
#: a client that keeps knocking on the port of a stopped server can end up connected to itself, and then
#: holds the port.
FREE_PORTS = range(20_000, 32_000)

_ATTEMPTS = 200


def is_free(port: int) -> bool:
    """Whether nobody listens on `port` of loopback."""
    with socket.socket() as probe:
        # As servers do it: connections of an earlier owner that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port of loopback that nobody listens on right now.

    Raises:
        ConfigError: two hundred random ports were all taken.
    """
    for port in random.sample(FREE_PORTS, _ATTEMPTS):
        if is_free(port):
            return port
    raise ConfigError(f"no free port on {LOOPBACK} between {FREE_PORTS.start} and {FREE_PORTS.stop - 1}")
