"""Experiments: those that run with what their arms have come to, those that are over in short.

Answers are all there were. Units, and what can be said of them, are of the latest records only, which are read page by
page and looked at anew now and then: `nearcast experiment report` reads all of them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.dashboard.experiment_state import ArmState, EndedExperiment, Estimate, Experiments, ExperimentState
from edge.link import Link
from precompute.declared_experiments import Declarations, Declared, DeclaredExperiments
from precompute.experiments import Arm, Experiment
from precompute.exposures import Answers, Exposure, answers_command, latest_command, parse_answers, parse_exposures
from precompute.manifest import Project
from precompute.store import checked
from precompute.updates import Command, Reply

if TYPE_CHECKING:
    from precompute.experiment_report import Interval
    from precompute.experiment_results import ArmReport, Report

#: Experiments that are shown, of those that run and of those that are over; the others are counted.
RUNNING, ENDED, BROKEN = 20, 10, 10
#: Records of one experiment that are looked at, in pages that are parsed in about a millisecond.
RECORDS = 2_000
_PAGE = 250
#: Records taken in before others get their turn: a quarter of a millisecond.
_TAKEN_AT_ONCE = 50
#: What was found in the records is good for so long; so many experiments are looked at for one document.
_GOOD_FOR_MS = 10_000
_LOOKS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Shown:
    """The experiments of one document; names are in `commands`' order."""

    running: Sequence[Declared]
    ended: Sequence[Declared]
    declared: Declarations
    now_ms: int

    def commands(self) -> list[Command]:
        """What to ask: the answers of each."""
        return [answers_command(it.experiment.name) for it in (*self.running, *self.ended)]


class ExperimentBoard:
    """What one process knows of them: what its documents have looked at lately is kept."""

    def __init__(self, link: Link, project: Project, now_ms: Callable[[], int]) -> None:
        self._link = link
        self._now_ms = now_ms
        self._reader = DeclaredExperiments(project)
        self._known: dict[str, _Outcome] = {}

    def shown(self, reply: Reply, now_ms: int) -> Shown:
        """What to show, from the reply to `declared_experiments.READ`: what began or ended last comes first."""
        declared = self._reader.read(reply, now_ms)
        all_of = [it for it in declared.experiments.values() if it.experiment.start_ms <= now_ms]
        running = sorted((it for it in all_of if it.experiment.runs(now_ms)), key=lambda it: -it.experiment.start_ms)
        ended = sorted((it for it in all_of if it.experiment.is_over(now_ms)), key=_ended_ms, reverse=True)
        return Shown(running[:RUNNING], ended[:ENDED], declared, now_ms)

    async def experiments(self, shown: Shown, replies: Sequence[Reply]) -> Experiments:
        """Everything about them, from the replies to `Shown.commands`."""
        answers = [parse_answers(reply) for reply in replies]
        running, ended = answers[: len(shown.running)], answers[len(shown.running) :]
        pairs = zip(shown.running, running, strict=True)
        await self._look({it.experiment.name: (it.experiment, of) for it, of in pairs})
        broken = shown.declared.broken
        everything = [it.experiment for it in shown.declared.experiments.values()]
        return Experiments(
            running_count=sum(it.runs(shown.now_ms) for it in everything),
            ended_count=sum(it.is_over(shown.now_ms) for it in everything),
            broken={name: broken[name] for name in sorted(broken)[:BROKEN]},
            running=[
                _state(it, of, self._outcome(it.experiment)) for it, of in zip(shown.running, running, strict=True)
            ],
            ended=[_ended(it, of) for it, of in zip(shown.ended, ended, strict=True)],
        )

    def _outcome(self, experiment: Experiment) -> Report | None:
        found = self._known.get(experiment.name)
        return found.report if found is not None and found.plan == experiment.fingerprint() else None

    async def _look(self, shown: Mapping[str, tuple[Experiment, Answers]]) -> None:
        """Looks at the records of those that were looked at longest ago."""
        now_ms = self._now_ms()
        self._known = {name: known for name, known in self._known.items() if name in shown}
        looked_ms = {
            name: self._known[name].at_ms if self._outcome(experiment) is not None else 0
            for name, (experiment, _) in shown.items()
        }
        due = [name for name, at_ms in looked_ms.items() if now_ms - at_ms >= _GOOD_FOR_MS]
        for name in sorted(due, key=looked_ms.__getitem__)[:_LOOKS_AT_ONCE]:
            experiment, answers = shown[name]
            records = await self._records(name)
            # What it needs of scipy takes a third of a second to import.
            found = await asyncio.to_thread(_come_to, experiment, records, answers)
            self._known[name] = _Outcome(now_ms, experiment.fingerprint(), found)

    async def _records(self, name: str) -> list[Exposure]:
        """The latest."""
        found: list[Exposure] = []
        before = "+"
        while len(found) < RECORDS:
            page = checked((await self._link.run([latest_command(name, before, _PAGE)]))[0])
            for at in range(0, len(page), _TAKEN_AT_ONCE):
                found += parse_exposures(page[at : at + _TAKEN_AT_ONCE])
                await asyncio.sleep(0)
            if len(page) < _PAGE:
                break
            before = "(" + page[-1][0].decode()
        return found


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was found in the records of an experiment."""

    at_ms: int
    plan: str
    report: Report


def _come_to(experiment: Experiment, records: Sequence[Exposure], answers: Answers) -> Report:
    from precompute.experiment_results import report, tally

    return report(experiment, tally(experiment, records), answers)


def _estimate(of: Interval) -> Estimate | None:
    if math.isnan(of.estimate):
        return None
    low, high = (None if math.isnan(bound) else bound for bound in (of.low, of.high))
    return Estimate(estimate=of.estimate, low=low, high=high)


def _state(declared: Declared, answers: Answers, found: Report | None) -> ExperimentState:
    it = declared.experiment
    arms = {} if found is None else {arm.name: arm for arm in found.arms}
    return ExperimentState(
        name=it.name,
        model=it.model,
        layer=it.layer,
        unit=str(it.unit),
        slice=it.slice,
        start_ms=it.start_ms or None,
        end_ms=it.end_ms,
        sample=it.sample,
        records=None if found is None else found.records - found.records_earlier,
        sample_ratio_p=None if found is None else found.sample_ratio_p,
        is_mismatch=found is not None and found.is_mismatch,
        arms=[_arm(arm, it.shares[arm.name], answers, arms.get(arm.name)) for arm in it.arms],
    )


def _arm(arm: Arm, share: float, answers: Answers, found: ArmReport | None) -> ArmState:
    return ArmState(
        arm=arm.name,
        serves=str(arm),
        share=share,
        answers=_by_arm(answers).get(arm.name, 0),
        overrides=answers.overrides.get(arm.name, 0),
        units=None if found is None else found.unit_count,
        seen=None if found is None else _estimate(found.units),
        hits=None if found is None else _estimate(found.hits),
        mean_ms=None if found is None else _estimate(found.mean_ms),
    )


def _ended(declared: Declared, answers: Answers) -> EndedExperiment:
    it, by_arm = declared.experiment, _by_arm(answers)
    return EndedExperiment(
        name=it.name,
        model=it.model,
        ended_ms=_ended_ms(declared),
        was_stopped=declared.stopped_ms is not None,
        answers={arm.name: by_arm.get(arm.name, 0) for arm in it.arms},
    )


def _ended_ms(declared: Declared) -> int:
    return declared.experiment.end_ms or 0


def _by_arm(answers: Answers) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for (arm, _), count in answers.by_arm.items():
        counts[arm] = counts.get(arm, 0) + count
    return counts
