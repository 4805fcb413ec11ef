"""What edges have written of what they counted, read on from where it was left and merged as it comes. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from precompute.series import Step, point
from precompute.snapshot import Snapshot
from precompute.store import checked
from precompute.telemetry import Entry, Source, Width, entries, read_command
from precompute.updates import Command, Reply

#: Entries of one stream in one read: some tens of kilobytes, which are parsed in one go.
READ = 20
#: Entries merged before others get their turn: about a millisecond.
_MERGED_AT_ONCE = 5
#: Buckets that are kept of each node by itself: what it does now.
_LATEST = 4

_NOTHING: Mapping[int, Snapshot] = {}


class History:
    """The buckets of one width, merged over those sources that are asked for.

    Attributes:
        buckets: what was counted, by when its bucket began.
        unreadable: entries that were of another version, or damaged.
    """

    def __init__(self, width: Width) -> None:
        self.width = width
        self.buckets: dict[int, Snapshot] = {}
        self.unreadable = 0
        #: What steps come to, by their length and when they begin; those that have got news are made anew.
        self.steps: dict[int, dict[int, Step]] = {}
        self._since_ms: int | None = None
        self._latest: dict[str, dict[int, Snapshot]] = {}
        self._read_to: dict[Source, str] = {}

    def begin(self, since_ms: int) -> None:
        """Buckets from here on will be asked for; what is older is let go of."""
        if self._since_ms is None or since_ms < self._since_ms:
            # What has been read cannot be put behind what is older.
            self.buckets, self._latest, self._read_to, self.steps = {}, {}, {}, {}
        self._since_ms = since_ms
        for bucket_ms in [at for at in self.buckets if at < since_ms]:
            del self.buckets[bucket_ms]
            self._changed(bucket_ms)

    def commands(self, sources: Sequence[Source]) -> list[Command]:
        """What to ask for news."""
        first = f"{self._since_ms or 0}-0"
        return [read_command(source, self.width, self._read_to.get(source, first), READ) for source in sources]

    def take(self, sources: Sequence[Source], replies: Sequence[Reply]) -> Iterator[None]:
        """Takes in the replies, yielding wherever others may get their turn."""
        taken = 0
        for source, reply in zip(sources, replies, strict=True):
            for name, entry in entries(checked(reply)):
                self._read_to[source] = name
                self._take(source.node, entry)
                taken += 1
                if taken % _MERGED_AT_ONCE == 0:
                    yield

    @staticmethod
    def may_have_more(replies: Sequence[Reply]) -> bool:
        """Whether to ask again at once."""
        return any(isinstance(reply, list) and len(reply) >= READ for reply in replies)

    def parts(self, begin_ms: int, step_ms: int) -> list[Snapshot]:
        """The buckets of a step."""
        return [self.buckets[at] for at in range(begin_ms, begin_ms + step_ms, self.width.ms) if at in self.buckets]

    def step(self, begin_ms: int, step_ms: int) -> Step:
        """What a step comes to."""
        known = self.steps.setdefault(step_ms, {})
        step = known.get(begin_ms)
        if step is None:
            step = known[begin_ms] = Step.of(point(self.parts(begin_ms, step_ms), self.width))
        return step

    def latest(self, node: str) -> Mapping[int, Snapshot]:
        """The last buckets of one node."""
        return self._latest.get(node, _NOTHING)

    def _take(self, node: str, entry: Entry | None) -> None:
        if entry is None:
            self.unreadable += 1
            return
        _add(self.buckets, entry)
        self._changed(entry.bucket_ms)
        latest = self._latest.setdefault(node, {})
        _add(latest, entry)
        if len(latest) > _LATEST:
            del latest[min(latest)]

    def _changed(self, bucket_ms: int) -> None:
        for step_ms, steps in self.steps.items():
            steps.pop(bucket_ms - bucket_ms % step_ms, None)


def _add(buckets: dict[int, Snapshot], entry: Entry) -> None:
    known = buckets.get(entry.bucket_ms)
    buckets[entry.bucket_ms] = entry.counted if known is None else known.merge(entry.counted)
