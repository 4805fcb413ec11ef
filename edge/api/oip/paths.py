"""Where the protocol is."""

from __future__ import annotations

PREFIX = "/v2"
V1_PREFIX = "/v1/models/"
V1_SUFFIX = ":predict"


def is_of_protocol(path: str) -> bool:
    """Whether whoever asks for this path reads errors as the protocol has them."""
    if path.startswith(V1_PREFIX):
        return path.endswith(V1_SUFFIX)
    return path == PREFIX or path.startswith(PREFIX + "/")
