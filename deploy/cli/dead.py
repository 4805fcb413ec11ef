"""`nearcast dead`: what could not be read, and what to do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.invocation import invocation
from deploy.cli.show import Json, show, table

if TYPE_CHECKING:
    from precompute.dead_letters import Letter
    from precompute.store import Store

#: Characters of a content that a table shows.
_SHOWN = 60

group = typer.Typer(no_args_is_help=True, help="Look at update records and entries that could not be read.")

LetterId = Annotated[str | None, typer.Argument(metavar="ID", help="As `nearcast dead list` shows it.")]
Everything = Annotated[bool, typer.Option("--all", help="All of them.")]


@group.command("list", epilog="Example: nearcast dead list --json")
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    """List what was set aside, newest first."""
    from precompute import dead_letters

    with invocation(ctx).primary() as store:
        found = dead_letters.recent(store)
    columns = ("id", "kind", "from", "record", "set_aside_at", "why", "content")
    documents = [_document(letter) for letter in found]
    show(
        {"letters": documents},
        lambda: table(columns, [[str(document[name])[:_SHOWN] for name in columns] for document in documents]),
        as_json=as_json,
    )


@group.command("replay", epilog="Example: nearcast dead replay 4f1c09a2be --entity JFK")
def replay(
    ctx: typer.Context,
    letter: LetterId = None,
    entity: Annotated[str | None, typer.Option(help="What the record should have named.")] = None,
    everything: Everything = False,
    as_json: Json = False,
) -> None:
    """Put it back: a record is appended to its log again, a damaged entry is deleted and so computed anew."""
    from precompute import dead_letters

    with invocation(ctx).primary() as store:
        chosen = _chosen(store, letter, everything=everything)
        for one in chosen:
            dead_letters.replay(store, one, entity)
    _done("replayed", chosen, as_json=as_json)


@group.command("drop", epilog="Example: nearcast dead drop --all")
def drop(ctx: typer.Context, letter: LetterId = None, everything: Everything = False, as_json: Json = False) -> None:
    """Forget it."""
    from precompute import dead_letters

    with invocation(ctx).primary() as store:
        chosen = _chosen(store, letter, everything=everything)
        for one in chosen:
            dead_letters.drop(store, one)
    _done("dropped", chosen, as_json=as_json)


def _chosen(store: Store, letter: str | None, *, everything: bool) -> list[Letter]:
    from precompute import dead_letters

    if (letter is None) != everything:
        raise typer.BadParameter("say which: an ID or --all")
    return dead_letters.recent(store) if letter is None else [dead_letters.find(store, letter)]


def _done(what: str, chosen: list[Letter], *, as_json: bool) -> None:
    show({what: [letter.id for letter in chosen]}, lambda: f"{what}: {len(chosen)}", as_json=as_json)


def _document(letter: Letter) -> dict[str, object]:
    from precompute.updates import timestamp

    return {
        "id": letter.id,
        "kind": letter.kind,
        "from": letter.source,
        "record": letter.record,
        "set_aside_at": timestamp(letter.at_ms),
        "why": letter.why,
        "content": " ".join(_readable(piece) for piece in letter.content),
    }


def _readable(piece: bytes) -> str:
    """Bytes for people: text where it is text, escapes where it is not."""
    return repr(piece)[2:-1]
