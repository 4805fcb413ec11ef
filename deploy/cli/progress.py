"""A progress bar on standard error, where a terminal is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: `advance(share, count)`: the share that is done, 0 to 1 (None: nobody knows), and how many things that are.
Advance = Callable[[float | None, int], None]


@contextmanager
def progress_bar(label: str, unit: str) -> Iterator[Advance]:
    """Shows share, count, rate and remaining time while the block runs; shows nothing without a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[count]:,} {task.fields[unit]}"),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(label, total=None, count=0, unit=unit, rate=0.0)

        def advance(share: float | None, count: int) -> None:
            elapsed_s = progress.tasks[0].elapsed or 0.0
            total = None if share is None else 1.0
            rate = count / elapsed_s if elapsed_s else 0.0
            progress.update(task, completed=share or 0.0, total=total, count=count, rate=rate)

        yield advance
