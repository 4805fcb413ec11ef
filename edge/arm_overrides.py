"""Testers choose their arm: by a header or a query parameter that an experiment has declared for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from precompute.errors import InvalidRequest
from precompute.experiments import Arm, Experiment

#: Of a request, names in lower case.
Headers = Sequence[tuple[bytes, bytes]]
#: By what a request may write: the arm, or the experiment and the arm where the arm alone may be several.
_Choices = dict[str, tuple[Experiment, Arm] | None]
#: Arms that an error names.
_NAMED = 8


class Overrides:
    """Where requests for one model may name an arm of which experiment.

    Attributes:
        headers: by header.
        queries: by query parameter.
    """

    def __init__(self, experiments: Sequence[Experiment]) -> None:
        self.headers: dict[bytes, _Choices] = {}
        self.queries: dict[str, _Choices] = {}
        for experiment in experiments:
            place = experiment.override
            if place is None:
                continue
            if place.kind == "header":
                choices = self.headers.setdefault(place.name.encode(), {})
            else:
                choices = self.queries.setdefault(place.name, {})
            for arm in experiment.arms:
                choices[f"{experiment.name}={arm.name}"] = experiment, arm
                choices[arm.name] = None if arm.name in choices else (experiment, arm)

    def named(self, headers: Headers, query: Mapping[str, str]) -> tuple[Experiment, Arm] | None:
        """The experiment and the arm that a request asks for by name; None if it does not.

        Raises:
            InvalidRequest: there is no such arm; its text lists those that there are.
        """
        for name, value in headers:
            if name in self.headers:
                return _arm(self.headers[name], name.decode(), header_text(value))
        for parameter, text in query.items():
            if parameter in self.queries:
                return _arm(self.queries[parameter], parameter, text)
        return None


def header_text(value: bytes) -> str:
    """What a header says."""
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()


def _arm(choices: _Choices, where: str, text: str) -> tuple[Experiment, Arm]:
    found = choices.get(text)
    if found is None:
        known = [name for name, choice in choices.items() if choice is not None]
        more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
        raise InvalidRequest(f"{where}: no arm {text!r:.80}; there are: {', '.join(known[:_NAMED])}{more}")
    return found
