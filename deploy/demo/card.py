"""Puts measured figures into the model card, between its two markers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deploy.demo.scores import Outcomes, Probabilities, auc, base_log_loss, log_loss

_BEGIN = "<!-- figures: written by train.py -->"
_END = "<!-- end of figures -->"


@dataclass(frozen=True)
class Figures:
    """How one variant did at one moment."""

    flights: int
    late_share: float
    mean_probability: float
    auc: float
    log_loss: float
    base_log_loss: float


def measure(outcome: Outcomes, probability: Probabilities) -> Figures:
    """The figures of probabilities whose outcomes are known."""
    return Figures(
        flights=len(outcome),
        late_share=float(outcome.mean()),
        mean_probability=float(probability.mean()),
        auc=auc(outcome, probability),
        log_loss=log_loss(outcome, probability),
        base_log_loss=base_log_loss(outcome),
    )


def moments_table(figures: Mapping[str, Mapping[str, Figures]]) -> str:
    """A Markdown table, one row for each moment and variant: figures[variant][moment]."""
    lines = [
        "| moment | flights | late | variant | mean p | AUC | log-loss | log-loss of the late share |",
        "|---|--:|--:|---|--:|--:|--:|--:|",
    ]
    variants = list(figures)
    for moment in figures[variants[0]]:
        for variant in variants:
            at = figures[variant][moment]
            lines.append(
                f"| {moment} | {at.flights:,} | {at.late_share:.3f} | {variant} | {at.mean_probability:.3f} "
                f"| {at.auc:.4f} | {at.log_loss:.4f} | {at.base_log_loss:.4f} |"
            )
    return "\n".join(lines)


def calibration_table(outcome: Outcomes, probability: Probabilities) -> str:
    """A Markdown table of predicted and observed shares of late flights, by tenths of the flights."""
    lines = ["| tenth of flights, by prediction | mean p | late |", "|--:|--:|--:|"]
    for tenth, rows in enumerate(np.array_split(np.argsort(probability, kind="stable"), 10), start=1):
        lines.append(f"| {tenth} | {probability[rows].mean():.3f} | {outcome[rows].mean():.3f} |")
    return "\n".join(lines)


def insert(card: Path, paragraphs: Sequence[str]) -> None:
    """Replace what stands between the markers of a card."""
    text = card.read_text()
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    card.write_text(before + "\n\n".join([_BEGIN, *paragraphs, _END]) + after)
