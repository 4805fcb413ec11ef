"""Models whose entries the replica does not have, as it seems: nobody precomputes them, or only other keys of them.

What the replica will not have is computed anyway. Begun while it is asked, instead of afterwards, that takes one trip
to it instead of two. Where it has an entry after all, one row was computed in vain, and so many requests have to find
nothing again before the next one can be.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge.ask import Ask

#: Requests of a model in a row for which the replica had nothing.
IN_A_ROW = 64


class Foresight:
    """Of one edge, for requests that are read for together."""

    def __init__(self) -> None:
        #: By model.
        self._without: dict[str, int] = {}

    def expects_nothing(self, asks: Sequence[Ask]) -> bool:
        """Whether the replica will have nothing for these, in all likelihood; never of several models at once.

        Nor of models that may be answered with what is stale, which comes first where the replica has nothing.
        """
        predictor = asks[0].predictor
        model = predictor.servable.model
        if self._without.get(model.name, 0) < IN_A_ROW or model.policy.stale_while_revalidate_s:
            return False
        return all(ask.predictor is predictor for ask in asks)

    def learn(self, asks: Sequence[Ask], values: Sequence[bytes | None]) -> bool:
        """What the replica had for them; whether that was nothing."""
        nothing = not any(values)
        if nothing or self._without:
            for ask, value in zip(asks, values, strict=True):
                name = ask.predictor.servable.model.name
                if value is None:
                    self._without[name] = self._without.get(name, 0) + 1
                else:
                    self._without.pop(name, None)
        return nothing
