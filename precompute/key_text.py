"""How an entity key is written.

A prediction is asked for by its *key*, the entity values of its model in declared order, joined by `:`.
Within a part, bytes that would confuse a URL, a Redis hash tag or the separator are written `~XX` (upper-case
hex of the UTF-8 byte). `~` needs no percent-encoding in a URL, so a key never has to be escaped twice.
"""

from __future__ import annotations

import re

from precompute.errors import InvalidKey

SEPARATOR = ":"
#: Longest key accepted anywhere; Redis keys and response headers repeat it.
MAX_KEY_BYTES = 512

#: What may stand for itself in a part. Lone surrogates are left out: they cannot be written as UTF-8.
_SAFE = r"A-Za-z0-9\-._+@,!*\u00a1-\ud7ff\ue000-\U0010ffff"
_UNSAFE = re.compile(f"[^{_SAFE}]")
#: A key of plain parts, the common case: canonical as it stands.
_PLAIN_KEY = re.compile(f"[{_SAFE}]+(?::[{_SAFE}]+)*")
_ESCAPE = re.compile(rb"~([0-9A-Fa-f]{2})")
#: Characters that are sure to fit `MAX_KEY_BYTES`: one takes four bytes at most.
_SURELY_SHORT = MAX_KEY_BYTES // 4


def escape_part(value: str) -> str:
    """One entity value as it stands inside a key; the empty string is refused."""
    if not value:
        raise InvalidKey("a part of the key is empty")
    try:
        return _UNSAFE.sub(lambda m: "".join(f"~{b:02X}" for b in m[0].encode()), value)
    except UnicodeEncodeError:
        raise InvalidKey(f"{value!r:.80} holds a lone surrogate, which no UTF-8 text can") from None


def unescape_part(part: str) -> str:
    """The entity value behind one part of a key."""
    if "~" not in part:
        return part
    try:
        return _ESCAPE.sub(lambda m: bytes([int(m[1], 16)]), part.encode()).decode()
    except UnicodeError:
        raise InvalidKey(f"{part!r:.80} does not spell UTF-8") from None


def canonical_part(part: str) -> str:
    """The one spelling of a part: whatever could stand for itself stands for itself.

    Raises:
        InvalidKey: an empty part, or an escape that is not UTF-8.
    """
    if part and not _UNSAFE.search(part):
        return part
    return escape_part(unescape_part(part))


def join_parts(values: tuple[str, ...] | list[str]) -> str:
    """A key from raw entity values."""
    return SEPARATOR.join(map(escape_part, values))


def split_parts(key: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The canonical parts of a key, one for each name.

    Raises:
        InvalidKey: wrong number of parts, an empty or overlong key; the text shows the expected shape.
    """
    parts = tuple(key.split(SEPARATOR))
    if len(parts) == len(names) and len(key) <= _SURELY_SHORT and _PLAIN_KEY.fullmatch(key):
        return parts
    try:
        return _canonical_parts(parts, len(names))
    except InvalidKey as error:
        shape = SEPARATOR.join(f"<{name}>" for name in names)
        raise InvalidKey(f"key {key!r:.80}: {error}; expected {shape}") from None


def _canonical_parts(parts: tuple[str, ...], wanted: int) -> tuple[str, ...]:
    if len(parts) != wanted:
        raise InvalidKey(f"{len(parts)} part(s) instead of {wanted}")
    parts = tuple(map(canonical_part, parts))
    if len(SEPARATOR.join(parts).encode()) > MAX_KEY_BYTES:
        raise InvalidKey(f"longer than {MAX_KEY_BYTES} bytes")
    return parts
