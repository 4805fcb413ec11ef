"""Tells the next process which models were being loaded or run when this one died.

A model may crash the library that runs it, and with it the process, which is started again and asked for the same model
again. So each thread writes down what it is about to run, in memory that outlives the process: 0.3 µs a batch. What two
processes in a row died with is not run by the next one for a while; once may be anybody's doing, such as a `kill -9`.
"""

from __future__ import annotations

import mmap
import threading
from contextlib import suppress
from pathlib import Path

import msgspec

#: Threads that run models at once are fewer; what finds no room is not written down.
_SLOTS, _SLOT_BYTES = 32, 160
#: Deaths in a row.
SUSPICIOUS = 2

#: Model and version.
Name = tuple[str, int]


class BlackBox:
    """One process's; the file is that of the process before it in the same place.

    Attributes:
        suspects: what died with the last processes each time.
    """

    def __init__(self, path: Path) -> None:
        """Reads what is there, and begins anew."""
        self._path, self._counts_path = path, path.with_suffix(".deaths")
        deaths = self._deaths()
        self._counts_path.write_bytes(msgspec.json.encode(deaths))
        self.suspects = frozenset((model, version) for model, version, count in deaths if count >= SUSPICIOUS)
        path.write_bytes(bytes(_SLOTS * _SLOT_BYTES))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self._free = list(range(_SLOTS))
        self._slots: dict[int, int] = {}

    def _deaths(self) -> list[tuple[str, int, int]]:
        """Models and versions that were under way when the last process died, and how many died so in a row."""
        before: dict[Name, int] = {}
        marks: set[Name] = set()
        with suppress(OSError):
            marks = set(_marks(self._path.read_bytes()))
        with suppress(OSError, msgspec.MsgspecError):
            found = msgspec.json.decode(self._counts_path.read_bytes(), type=list[tuple[str, int, int]])
            before = {(model, version): count for model, version, count in found}
        return [(*name, before.get(name, 0) + 1) for name in sorted(marks)]

    def enter(self, label: bytes) -> None:
        """This thread is about to do something with a model; `label` is made by `labelled`."""
        thread = threading.get_ident()
        slot = self._slots.get(thread)
        if slot is None:
            if not self._free:
                return
            slot = self._slots[thread] = self._free.pop()
        self._memory[slot * _SLOT_BYTES : (slot + 1) * _SLOT_BYTES] = label

    def leave(self) -> None:
        """It has survived that."""
        slot = self._slots.pop(threading.get_ident(), None)
        if slot is not None:
            self._memory[slot * _SLOT_BYTES] = 0
            self._free.append(slot)

    def close(self) -> None:
        """The process ends in peace."""
        self._memory.close()
        for path in (self._path, self._counts_path):
            path.unlink(missing_ok=True)


def labelled(name: Name) -> bytes:
    """A model's version as it is written down."""
    return f"{name[1]} {name[0]}".encode()[:_SLOT_BYTES].ljust(_SLOT_BYTES, b"\0")


def _marks(data: bytes) -> list[Name]:
    found = []
    for at in range(0, len(data), _SLOT_BYTES):
        version, _, model = data[at : at + _SLOT_BYTES].rstrip(b"\0").decode("utf-8", "replace").partition(" ")
        if version.isdigit() and model:
            found.append((model, int(version)))
    return found
