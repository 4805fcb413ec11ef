"""Rebuild what ships with the demo: `python -m deploy.demo.train` (needs the extra `train`).

1. Candidates learn from January to July; August and September choose one for each variant, by log-loss.
2. The chosen ones learn again from January to September.
3. October to December, which chose nothing, give the figures of the model card, computed from the ONNX files.
4. Two weeks of October are stored for the replay, with some reference rows to check a rebuilt demo against.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from deploy.demo import card, source, variants
from deploy.demo.encodings import encode, late
from deploy.demo.features import FEATURES, Features
from deploy.demo.moments import Moment, moments, scored, stacked
from deploy.demo.scores import auc, log_loss
from deploy.demo.tables import Floats, Window, minute_of
from precompute.runtime import Session

VALIDATION = (date(2013, 8, 1), date(2013, 10, 1))
TEST = (date(2013, 10, 1), date(2014, 1, 1))
#: A fortnight with two bad days (the 7th: 46 % late, the 11th: 37 %), a fairly bad one, and ordinary ones.
SHIPPED = (date(2013, 10, 6), date(2013, 10, 19))
REFERENCE_ROWS = 100

HERE = Path(__file__).parent
CACHE = Path.home() / ".cache" / "nearcast"


@dataclass(frozen=True)
class Split:
    """Features of the year for somebody who knows outcomes up to a day, and the flights to be judged by."""

    window: Window
    features: Features
    learn: list[Moment]
    judge: list[Moment]
    late: NDArray[np.bool_]

    @classmethod
    def at(cls, window: Window, learnt: date, judged: date) -> "Split":
        """Learn from everything before `learnt`; be judged by the flights from then to `judged`."""
        known_min, stop_min = minute_of(learnt), minute_of(judged)
        flights = encode(window.flights, window.flights.sched_min < known_min)
        return cls(
            window=replace(window, flights=flights),
            features=Features(replace(window, flights=flights)),
            learn=moments(flights, scored(flights, 0, known_min)),
            judge=moments(flights, scored(flights, known_min, stop_min)),
            late=late(flights),
        )


def choose(split: Split) -> dict[str, Callable[[], Any]]:
    """The candidate of each variant with the least log-loss in the validation months."""
    learn = stacked(split.features, split.late, split.learn)
    judge, outcome = stacked(split.features, split.late, split.judge)
    chosen = {}
    for variant, candidates in variants.CANDIDATES.items():
        losses = {}
        for name, make in candidates.items():
            answer = variants.probabilities(variants.fit(make, *learn), judge)
            losses[name] = log_loss(outcome, answer)
            print(f"  {variant}: {name}: log-loss {losses[name]:.4f}, AUC {auc(outcome, answer):.4f}", flush=True)
        best = min(losses, key=losses.__getitem__)
        print(f"  {variant}: chosen: {best}", flush=True)
        chosen[variant] = candidates[best]
    return chosen


def ask(model: bytes, matrix: Floats) -> Floats:
    """Probability of being late by the ONNX file, shape [N]."""
    answer = Session.load(model).run({"features": matrix})["probabilities"]
    return np.asarray(answer, dtype=np.float32)[:, 1]


def figures(split: Split, files: dict[str, bytes]) -> dict[str, dict[str, card.Figures]]:
    """How each ONNX file did at each moment."""
    seen = [(part, split.features.matrix(part.rows, part.at_min), split.late[part.rows]) for part in split.judge]
    return {
        variant: {part.name: card.measure(outcome, ask(model, matrix)) for part, matrix, outcome in seen}
        for variant, model in files.items()
    }


def difference(split: Split, fitted: dict[str, Any], files: dict[str, bytes]) -> str:
    """One sentence on how far ONNX Runtime and scikit-learn are apart on the test months."""
    matrix, _ = stacked(split.features, split.late, split.judge)
    apart = {
        variant: np.abs(variants.probabilities(fitted[variant], matrix) - ask(model, matrix)).max()
        for variant, model in files.items()
    }
    listed = ", ".join(f"{variant} {value:.1e}" for variant, value in apart.items())
    return f"Largest difference of ONNX Runtime from scikit-learn on these {len(matrix):,} rows: {listed}."


def delay_alone(split: Split) -> str:
    """One sentence on what the departure delay ranks without any model, once it is known."""
    rows = next(part.rows for part in split.judge if part.name == "departed")
    alone = auc(split.late[rows], split.window.flights.dep_delay[rows])
    return f"For comparison, the bare departure delay, once known, has an AUC of {alone:.4f}."


def write_reference(path: Path, split: Split, fitted: dict[str, Any], shipped: Window) -> None:
    """Some rows as training saw them, and what scikit-learn answered; from the third shipped day on.

    The congestion of the first days still depends on flights before the window.
    """
    usable = minute_of(SHIPPED[0]) + 2 * 1440
    choice = np.random.default_rng(0)
    columns: dict[str, Any] = {"flight": [], "at_min": []}
    matrices = []
    for part in split.judge:
        sched_min = split.window.flights.sched_min[part.rows]
        inside = np.flatnonzero((sched_min >= usable) & (sched_min <= shipped.flights.sched_min.max()))
        picked = choice.choice(inside, REFERENCE_ROWS, replace=False)
        columns["flight"] += split.window.flights.flight[part.rows[picked]].tolist()
        columns["at_min"] += part.at_min[picked].tolist()
        matrices.append(split.features.matrix(part.rows[picked], part.at_min[picked]))
    matrix = np.vstack(matrices)
    columns |= {name: matrix[:, place] for place, name in enumerate(FEATURES)}
    columns |= {variant: variants.probabilities(model, matrix) for variant, model in fitted.items()}
    pq.write_table(pa.table(columns), path, compression="zstd")


def build(year: Window, out: Path) -> None:
    """Choose, fit, measure, and write everything below `out`."""
    print("choosing on August and September")
    chosen = choose(Split.at(year, *VALIDATION))
    print("learning from January to September")
    split = Split.at(year, *TEST)
    learn = stacked(split.features, split.late, split.learn)
    fitted = {variant: variants.fit(make, *learn) for variant, make in chosen.items()}
    files = {variant: variants.to_onnx(model) for variant, model in fitted.items()}
    (out / "models").mkdir(parents=True, exist_ok=True)
    for variant, content in files.items():
        (out / "models" / f"{variant}.onnx").write_bytes(content)
    shipped = source.between(split.window, *SHIPPED)
    shipped.write(out / "data")
    write_reference(out / "data" / "reference.parquet", split, fitted, shipped)
    print("measuring on October to December")
    report = [card.moments_table(figures(split, files)), delay_alone(split), *_calibration(split, files)]
    report.append(difference(split, fitted, files))
    print("\n\n".join(report))
    card.insert(out / "MODEL_CARD.md", report)


def _calibration(split: Split, files: dict[str, bytes]) -> list[str]:
    part = next(part for part in split.judge if part.name == "1 h before")
    answer = ask(files["default"], split.features.matrix(part.rows, part.at_min))
    title = f"Calibration of `default`, {part.name}, October to December:"
    return [title, card.calibration_table(split.late[part.rows], answer)]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Rebuild the demo's models, data and figures.")
    parser.add_argument("--source", type=Path, help="folder of the CSV files; without it they are downloaded")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where downloads stay")
    parser.add_argument("--out", type=Path, default=HERE, help="a folder with MODEL_CARD.md in it")
    arguments = parser.parse_args()
    build(source.read(arguments.source or source.fetch(arguments.cache)), arguments.out)


if __name__ == "__main__":
    main()
