"""What all entries of one key have in common, worked out once for a key that is asked for again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from edge.edition import Edition


class KeyFacts(msgspec.Struct, eq=False, gc=False):
    """About a key of one model version; made by its `Edition`.

    Attributes:
        begins: what the body of each entry begins with, so that no other key's is taken for it.
        slots: where changes of its dependencies are found, packed as `Held.marks` has them.
        lifetime_ms: how long an entry is fresh as far as the TTL goes.
    """

    edition: Edition
    begins: bytes
    slots: bytes
    lifetime_ms: int
    _tag_lines: bytes = b""

    def tag_lines(self) -> bytes:
        """The tags by which caches outside are told of changes, as header lines."""
        if not self._tag_lines:
            # In its one spelling a key holds no quotes, and `begins` ends with it.
            key = self.edition.key(self.begins)
            self._tag_lines = self.edition.for_caches.tag_lines(key)
        return self._tag_lines
