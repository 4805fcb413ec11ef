"""Asks edges and holds each answer against the primary.

The order matters. The primary is looked at before the request, so that whatever it had by then can be expected of the
edge, and once more after the answer, so that a change during the request counts for the edge and not against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from deploy.audit.edges import EdgeClient
from deploy.audit.report import Example, Report
from deploy.audit.sampling import KeyPool
from deploy.audit.truth import Sight, Truth, computed
from deploy.audit.verdict import (
    VIOLATIONS,
    Answer,
    Change,
    Evidence,
    Finding,
    Outputs,
    Verdict,
    is_settled,
    judge,
)
from precompute.errors import NearcastError, PermanentError, StoreUnavailable
from precompute.manifest import Project
from precompute.models import Key, Model
from precompute.store import Store

#: What a change may take from the primary to an answer beyond the lag that the edge admits.
_SLACK_MS = 50


class NothingToAudit(NearcastError):
    """No version is served, or no key is known."""


@dataclass(frozen=True, slots=True)
class _Observation:
    finding: Finding
    answer: Answer
    asked_ms: int
    expected: Outputs


class Auditor:
    """Audits some models at some edges, round by round."""

    def __init__(
        self, store: Store, project: Project, models: Sequence[Model], edges: Sequence[EdgeClient], random: Random
    ) -> None:
        self.report = Report()
        self._truth = Truth(store, project)
        self._models = {model.name: model for model in models}
        self._edges = edges
        self._pools = {name: KeyPool(store, project, model, random) for name, model in self._models.items()}

    def draw(self, samples: int) -> list[tuple[Model, Key]]:
        """What to ask about: `samples` keys, shared among the models.

        Raises:
            NothingToAudit: no key of any of the models is known.
            StoreUnavailable: the primary is away.
        """
        each = max(1, samples // len(self._models))
        drawn = [(self._models[name], key) for name, pool in self._pools.items() for key in pool.draw(each)]
        if not drawn:
            raise NothingToAudit(
                f"no keys of {', '.join(self._models)} are known: nobody has asked for any yet, "
                "and there is no row that all_keys could list"
            )
        return drawn

    def audit(self, model: Model, key: Key) -> None:
        """Asks every edge about a key, and counts what is found."""
        for edge in self._edges:
            try:
                seen = self._observe(edge, model, key)
            except StoreUnavailable:
                self.report.add(Finding(Verdict.UNJUDGED), None)
            else:
                self._count(edge, model, key, seen)

    def _observe(self, edge: EdgeClient, model: Model, key: Key) -> _Observation:
        try:
            active = self._truth.active(model)
            before = self._truth.look(active, key)
            answer = edge.ask(model, key)
            after = self._truth.look(active, key)
            predictor = self._truth.predictor(model, answer.version) if answer.version else active
        except PermanentError as error:
            raise NothingToAudit(f"cannot audit {model.name}: {error}") from None
        truths = computed(predictor, before), computed(predictor, after)
        if before.epoch != after.epoch:
            finding = Finding(Verdict.UNJUDGED)
        else:
            finding = judge(self._evidence(model, key, answer, before, truths))
        return _Observation(finding, answer, before.at_ms, truths[0])

    def _evidence(
        self, model: Model, key: Key, answer: Answer, before: Sight, truths: tuple[Outputs, Outputs]
    ) -> Evidence:
        changes: list[Change] = []
        if not is_settled(answer, *truths) and answer.as_of_ms is not None:
            changes = self._truth.changes(model, key, answer.as_of_ms)
        return Evidence(
            answer=answer,
            asked_ms=before.at_ms,
            before=truths[0],
            after=truths[1],
            changes=changes,
            max_lag_ms=int(model.policy.max_lag_s * 1000),
            history_ms=self._truth.history_ms,
        )

    def _count(self, edge: EdgeClient, model: Model, key: Key, seen: _Observation) -> None:
        finding, computed_ms = seen.finding, seen.answer.computed_ms
        self.report.add(finding, None if computed_ms is None else seen.asked_ms - computed_ms)
        if finding.verdict is Verdict.IN_FLIGHT:
            admitted_ms = (edge.lag_s() or 0.0) * 1000 + _SLACK_MS
            self.report.beyond_lag += (finding.behind_ms or 0) > admitted_ms
        if finding.verdict in VIOLATIONS:
            self.report.show(
                Example(
                    finding.verdict,
                    edge.url,
                    model.name,
                    key.text,
                    finding.behind_ms,
                    seen.answer.outputs,
                    seen.expected,
                )
            )
