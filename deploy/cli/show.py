"""Answers: a document for programs, a table for people; standard output carries nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Where there is no terminal nobody counts columns, and a cut-off value is of no use.
_UNLIMITED = 10_000

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, for programs.")]


def show(document: object, people: Callable[[], RenderableType], *, as_json: bool) -> None:
    """Prints `document` as JSON, or else what `people()` makes of it."""
    if as_json:
        import orjson

        options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
        if sys.stdout.isatty():
            options |= orjson.OPT_INDENT_2
        sys.stdout.write(orjson.dumps(document, option=options).decode())
        return
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else _UNLIMITED, highlight=False, markup=False, emoji=False)
    console.print(people(), soft_wrap=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> RenderableType:
    """A table; numbers stand to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells = [list(row) for row in rows]
    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, title_style="bold")
    for i, name in enumerate(columns):
        numeric = bool(cells) and all(isinstance(row[i], int | float) or row[i] is None for row in cells)
        made.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        made.add_row(*(Text(_text(cell)) for cell in row))
    return made


def facts(pairs: Iterable[tuple[str, object]]) -> RenderableType:
    """Names and values, one pair a line."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(Text(name), Text(_text(value)))
    return grid


def tell(text: str) -> None:
    """A message beside the answer: standard error."""
    print(f"nearcast: {text}", file=sys.stderr)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
