"""The demo as it shows itself on a terminal while it runs."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deploy.audit.verdict import VIOLATIONS
from deploy.demo.replay import Replay
from deploy.demo.run import Shown
from deploy.demo.scoreboard import TIERS, quantile_ms
from deploy.demo.tables import unix_s

_COLOURS = {"memory": "green", "replica": "cyan", "live": "yellow", "stale": "magenta", "default": "red"}
_BAR = 40
#: The replayed days lie in daylight saving time of New York.
_OFFSET_S = -4 * 3600


def screen(shown: Shown) -> RenderableType:
    """One picture of a run."""
    replay = shown.replay
    clock = datetime.fromtimestamp(unix_s(replay.clock.minute()) + _OFFSET_S, UTC)
    title = f"[bold]nearcast[/] · will this flight arrive late? · New York, {clock:%A %d %B %Y  %H:%M}"
    columns = [_latency(replay), _work(shown), _freshness(shown), _quality(replay)]
    body = Group(_tiers(replay), Columns(columns, padding=(0, 4)))
    return Panel(body, title=title, subtitle=f"{shown.url} · Ctrl-C ends", padding=(1, 2))


def _tiers(replay: Replay) -> RenderableType:
    board = replay.board
    total = max(1, board.tiers.total())
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(width=8)
    table.add_column(width=_BAR)
    table.add_column(justify="right", width=8)
    table.add_column(justify="right", width=8)
    for tier in TIERS:
        count = board.tiers[tier]
        bar = Text("━" * round(_BAR * count / total), style=_COLOURS[tier])
        table.add_row(tier, bar, f"{count:,}", f"{count / total:.1%}")
    errors = board.errors.total()
    table.add_row("errors", "", f"{errors:,}", "", style="red" if errors else "dim")
    return table


def _figures(title: str, rows: list[tuple[str, str]]) -> RenderableType:
    table = Table(title=title, box=None, show_header=False, title_justify="left", title_style="bold")
    table.add_column(style="dim")
    table.add_column(justify="right")
    for name, value in rows:
        table.add_row(name, value)
    return table


def _latency(replay: Replay) -> RenderableType:
    quantiles = [(f"p{q * 100:g}", f"{replay.board.quantile_ms(q, recent=True):.2f} ms") for q in (0.5, 0.95, 0.99)]
    return _figures("at the client", quantiles)


def _work(shown: Shown) -> RenderableType:
    board, counted = shown.replay.board, shown.counted
    rows = [
        ("feature updates", f"{shown.replay.updates:,}"),
        ("precomputed", f"{counted.get('precomputed', 0):,}"),
        ("recomputed", f"{counted.get('refreshed', 0):,}"),
        ("rows per request", f"{board.rows_per_request(counted):.2f}"),
        ("fresh hits", f"{board.fresh_hit_ratio():.1%}"),
    ]
    return _figures("ahead of time", rows)


def _freshness(shown: Shown) -> RenderableType:
    audited, probes = shown.audited, shown.probes
    rows = [
        ("answers audited", f"{audited['samples']:,}" if audited else "-"),
        ("falsely fresh", f"{sum(audited[verdict] for verdict in VIOLATIONS):,}" if audited else "-"),
        ("update to stale, p99", _ms(quantile_ms(probes.to_stale_s, 0.99))),
        ("update to recomputed, p99", _ms(quantile_ms(probes.to_refreshed_s, 0.99))),
    ]
    return _figures("never stale as fresh", rows)


def _ms(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f} ms"


def _quality(replay: Replay) -> RenderableType:
    quality = replay.board.quality()
    rows = [
        ("AUC served", f"{quality['auc']:.4f}"),
        ("AUC plain 1 h TTL cache", f"{quality['auc_ttl_cache']:.4f}"),
        ("log-loss served", f"{quality['log_loss']:.4f}"),
        ("log-loss plain cache", f"{quality['log_loss_ttl_cache']:.4f}"),
    ]
    return _figures("against what happened", rows)
