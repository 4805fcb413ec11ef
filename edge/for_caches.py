"""What caches outside are told of an entry: how long they may keep it, and by which tags they are told of changes."""

from __future__ import annotations

import math
import re

from precompute.models import Model, Policy

#: What a tag cannot hold: commas separate the tags of `Cache-Tag`, and `Cache-Groups` is ASCII.
_NO_TAG = re.compile(r"[^ -~]|,")


class ForCaches:
    """Says it of the entries of one model."""

    def __init__(self, model: Model) -> None:
        self._policy = model.policy
        self._longest = cache_control(model.policy, math.ceil(model.policy.max_age_s))
        self._entities = [dependency.entity_of for dependency in model.dependencies]
        tags = [f"model:{model.name}", *(f"{d.view}:%s" for d in model.dependencies)]
        self._tags = " ".join(tags)
        #: Written out, because each answer that is computed, or read for a key not known yet, has them anew.
        self._lines = _lines(self._tags.encode()).decode()

    def control(self, fresh_for_s: int) -> bytes:
        """`Cache-Control`, while it is fresh for so long."""
        return self._longest if fresh_for_s >= self._policy.max_age_s else cache_control(self._policy, fresh_for_s)

    def tags(self, key: str) -> bytes:
        """The dependencies, separated by spaces; keys hold none."""
        tags = self._tags % self._of(key)
        if _is_plain(tags):
            return tags.encode()
        return _NO_TAG.sub(lambda m: "".join(f"~{b:02X}" for b in m[0].encode()), tags).encode()

    def tag_lines(self, key: str) -> bytes:
        """The same as header lines, in the spellings of three kinds of caches."""
        entities = self._of(key)
        if _is_plain("".join(entities)):
            return (self._lines % (entities * 3)).encode()
        return _lines(self.tags(key))

    def _of(self, key: str) -> tuple[str, ...]:
        # As the key stands there in its one spelling, its parts need not be checked again.
        parts = tuple(key.partition("?")[0].split(":"))
        return tuple([entity_of(parts) for entity_of in self._entities])


def cache_control(policy: Policy, fresh_for_s: int) -> bytes:
    """How long others may keep what is fresh for so long: never longer than we would."""
    parts = [b"public, max-age=%d" % max(0, min(policy.max_age_s, fresh_for_s))]
    if policy.stale_while_revalidate_s:
        parts.append(b"stale-while-revalidate=%d" % policy.stale_while_revalidate_s)
    if policy.stale_if_error_s:
        parts.append(b"stale-if-error=%d" % policy.stale_if_error_s)
    return b", ".join(parts)


def tag_headers(tags: bytes) -> list[tuple[bytes, bytes]]:
    """Tags that are separated by spaces, in the spellings of three kinds of caches."""
    return [
        (b"surrogate-key", tags),
        (b"cache-tag", tags.replace(b" ", b",")),
        (b"cache-groups", b'"' + tags.replace(b" ", b'", "') + b'"'),
    ]


def _lines(tags: bytes) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in tag_headers(tags)])


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and "," not in text
