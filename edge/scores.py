"""The number in a prediction that candidates are ranked by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from precompute.errors import InvalidRequest, PermanentError
from precompute.outputs import OutputRule


class NoScore(PermanentError):
    """A prediction without the number: NaN, infinity, or a declared default that leaves it out."""


@dataclass(frozen=True, slots=True)
class Score:
    """An output, and where that has several values, one of them by label or position."""

    output: str
    pick: str | int | None = None

    @classmethod
    def among(cls, rules: Sequence[OutputRule], output: str | None, pick: str | int | None) -> Score:
        """What a request means.

        Raises:
            InvalidRequest: the model has no such output, or has several and none was named.
        """
        names = [rule.name for rule in rules]
        if output is None and len(names) == 1:
            return cls(names[0], pick)
        if output is None or output not in names:
            what = "say which output to rank by" if output is None else f"the model has no output {output!r:.80}"
            raise InvalidRequest(f"{what}; it has: {', '.join(names)}")
        return cls(output, pick)

    def of(self, body: bytes) -> float:
        """The score in a prediction's body.

        Raises:
            NoScore: this one has none.
            InvalidRequest: no prediction of the model has, because the output is made of something else.
        """
        outputs = orjson.loads(body)["outputs"]
        if self.output not in outputs:
            raise NoScore(f"output {self.output!r} has no value")
        value = self._picked(outputs[self.output])
        if value is None:
            raise NoScore(f"output {self.output!r} is not a finite number")
        if not isinstance(value, int | float):
            raise InvalidRequest(f"output {self.output!r} is {_KINDS[type(value)]}, nothing to rank by")
        # A truth value counts as 1 or 0.
        return +value

    def _picked(self, value: object) -> object:
        if isinstance(value, dict):
            if self.pick is None or str(self.pick) not in value:
                raise InvalidRequest(f"output {self.output!r} has several values; pick one of: {', '.join(value):.400}")
            return value[str(self.pick)]
        if isinstance(value, list):
            if not isinstance(self.pick, int) or not 0 <= self.pick < len(value):
                raise InvalidRequest(f"output {self.output!r} is a list; pick a position, 0 to {len(value) - 1}")
            return value[self.pick]
        if self.pick is not None:
            raise InvalidRequest(f"output {self.output!r} is a single value; leave out pick")
        return value


_KINDS: dict[type, str] = {str: "a text", list: "a list", dict: "an object"}
