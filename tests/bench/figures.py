"""What is measured against what: rows, and whether they hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure.

    Attributes:
        anchor: what it is compared with; empty if the figure itself is what counts.
        ratio: to the anchor's figure, None without one.
        at_least, at_most: the limit, of the ratio if there is one.
        note: why there is no figure, or how it was found.
    """

    work: str
    figure: float | None
    unit: str
    anchor: str = ""
    ratio: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the limit is kept; None if nothing was measured or there is no limit."""
        value = self.ratio if self.anchor else self.figure
        if value is None or (self.at_least is None and self.at_most is None):
            return None
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def document(self) -> dict[str, object]:
        """For programs; a limit that there is not is left out."""
        found: dict[str, object] = {"work": self.work, "figure": self.figure, "unit": self.unit}
        found |= {"anchor": self.anchor or None, "ratio": self.ratio}
        if self.at_least is not None:
            found["at_least"] = self.at_least
        if self.at_most is not None:
            found["at_most"] = self.at_most
        return found | {"holds": self.holds} | ({"note": self.note} if self.note else {})


@dataclass(slots=True)
class Figures:
    """All rows of one run, in the order in which they were found; each is printed at once."""

    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Keeps and prints a row."""
        self.rows.append(row)
        print(line(row), flush=True)

    def against(
        self,
        work: str,
        figure: float | None,
        unit: str,
        anchor: str,
        ratio: float | None,
        *,
        at_least: float | None,
        note: str = "",
    ) -> None:
        """One figure against another; `note` says why the other is missing."""
        self.add(Row(work=work, figure=figure, unit=unit, anchor=anchor, ratio=ratio, at_least=at_least, note=note))

    def write(self, path: Path) -> None:
        """A JSON list of all rows."""
        path.write_text(json.dumps([row.document() for row in self.rows], indent=1) + "\n")


def line(row: Row) -> str:
    """A row for people."""
    mark = {True: "holds", False: "MISSED", None: "-"}[row.holds]
    figure = "not measured" if row.figure is None else f"{_number(row.figure)} {row.unit}"
    limit = f"at least {row.at_least:g}" if row.at_least is not None else ""
    limit = f"at most {row.at_most:g}" if row.at_most is not None else limit
    against = f"{row.ratio:.2f} x {row.anchor}" if row.ratio is not None else row.anchor
    parts = [f"{mark:7}{row.work:<42}{figure:>22}", f"{against:<34}{limit:<14}{row.note}"]
    return "  ".join(parts).rstrip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
