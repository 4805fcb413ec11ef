"""`nearcast get`: asks a running edge, as an application would."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode, urlsplit

import typer

from deploy.cli.invocation import invocation
from deploy.cli.show import Json, facts, show
from precompute.errors import ConfigError, NearcastError, StoreUnavailable

if TYPE_CHECKING:
    from email.message import Message

_TIMEOUT_S = 10.0


class EdgeRefused(NearcastError):
    """The edge answered with a problem; the text is its detail."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the edge said.

    Attributes:
        tier: where the answer came from.
        age_s: since the prediction was computed; None for a default.
        took_ms: in the edge, network aside.
    """

    tier: str
    age_s: int | None
    took_ms: float | None
    body: dict[str, Any]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: nearcast get late UA1545:EWR:N14228 hour=17")(get)


def get(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of the project.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="The entity values, joined by colons.")],
    context: Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Request-time features.")] = None,
    variant: Annotated[str | None, typer.Option(help="Else the model's default.")] = None,
    edge: Annotated[
        str | None, typer.Option(help="URL of the edge; else the one that runs here.", metavar="URL")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask a running edge for a prediction and show where it came from."""
    query = dict(context_pair(text) for text in context or [])
    if variant:
        query["variant"] = variant
    path = f"/v1/predict/{quote(model, safe='')}/{quote(key, safe=':~,@+!*')}"
    reply = ask(edge or invocation(ctx).edge_url, f"{path}?{urlencode(query)}" if query else path)
    head = {"tier": reply.tier, "age_s": reply.age_s, "took_ms": reply.took_ms}
    lines = [*head.items(), *((name, _plain(value)) for name, value in reply.body.items())]
    show({**head, "answer": reply.body}, lambda: facts(lines), as_json=as_json)


def ask(base: str, target: str) -> Reply:
    """One GET.

    Raises:
        ConfigError: not a URL.
        StoreUnavailable: nobody answers there.
        EdgeRefused: the answer is an error.
    """
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"{base!r} is no URL of an edge; write http://host:port")
    made = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = made(parts.netloc, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", parts.path.rstrip("/") + target, headers={"Accept": "application/json"})
        response = connection.getresponse()
        return _read(response.status, response.headers, response.read())
    except (OSError, http.client.HTTPException) as error:
        raise StoreUnavailable(f"no edge answers at {base}: {error or type(error).__name__}") from None
    finally:
        connection.close()


def _read(status: int, headers: Message, content: bytes) -> Reply:
    try:
        body = json.loads(content)
    except ValueError:
        raise EdgeRefused(f"{status}: not JSON: {content[:80]!r}") from None
    if status != 200:
        raise EdgeRefused(f"{status} {body.get('title', '')}: {body.get('detail', body)}")
    tier, _, duration = (headers.get("server-timing") or "?").partition(";dur=")
    age = headers.get("age")
    return Reply(tier, int(age) if age else None, float(duration) if duration else None, body)


def context_pair(text: str) -> tuple[str, str]:
    """A request-time feature as it is written on the command line."""
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE")
    return name, value


def _plain(value: object) -> object:
    return json.dumps(value) if isinstance(value, dict | list) else value
