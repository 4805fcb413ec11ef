"""Bars for what servers can do, and curves of how one of them fares over time, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

_BAR, _GAP, _LEFT, _WIDTH = 22, 10, 300, 900
_OURS, _THEIRS, _TEXT = "#1f77b4", "#b0b7bf", "#22272e"


def bars(title: str, groups: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> str:
    """Groups of named values, drawn to one scale; what is called nearcast stands out."""
    largest = max((value for _, values in groups for _, value in values), default=1.0)
    parts, at = [], 50
    for name, values in groups:
        parts.append(_text(10, at + 14, name, weight="bold"))
        at += _BAR + _GAP
        for label, value in sorted(values, key=lambda pair: -pair[1]):
            length = max(1.0, (_WIDTH - _LEFT - 90) * value / largest)
            fill = _OURS if label.startswith("nearcast") else _THEIRS
            parts.append(_text(_LEFT - 10, at + 15, label, anchor="end"))
            parts.append(f'<rect x="{_LEFT}" y="{at}" width="{length:.1f}" height="{_BAR}" fill="{fill}"/>')
            parts.append(_text(_LEFT + length + 6, at + 15, f"{value:,.0f}"))
            at += _BAR + 4
        at += _GAP
    return _page(title, at + 10, parts)


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 13, weight: str = "normal") -> str:
    style = f'text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{_TEXT}"'
    return f'<text x="{x:.1f}" y="{y}" {style}>{escape(text)}</text>'


def curves(title: str, at: Sequence[float], panels: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Named series over one axis, each in a panel of its own that begins at zero: what is flat looks flat."""
    parts, top, height = [], 50, 120
    across = (_WIDTH - _LEFT // 4 - 90) / max(at[-1], 1.0)
    for name, values in panels:
        base, largest = top + height, max(*values, 1e-9)
        points = " ".join(
            f"{_LEFT // 4 + x * across:.1f},{base - (height - 20) * value / largest:.1f}"
            for x, value in zip(at, values, strict=True)
        )
        parts.append(_text(_LEFT // 4, top + 12, name, weight="bold"))
        parts.append(f'<line x1="{_LEFT // 4}" y1="{base}" x2="{_WIDTH - 90}" y2="{base}" stroke="{_THEIRS}"/>')
        parts.append(f'<polyline points="{points}" fill="none" stroke="{_OURS}" stroke-width="1.5"/>')
        parts.append(_text(_LEFT // 4 - 8, top + 26, f"{largest:,.0f}", anchor="end"))
        parts.append(_text(_LEFT // 4 - 8, base, "0", anchor="end"))
        parts.append(_text(_WIDTH - 84, base - (height - 20) * values[-1] / largest + 4, f"{values[-1]:,.1f}"))
        top = base + 2 * _GAP
    parts.append(_text(_WIDTH - 90, top, f"{at[-1]:,.0f} s", anchor="end"))
    return _page(title, top + _GAP, parts)


def _page(title: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">'
    back = f'<rect width="{_WIDTH}" height="{height}" fill="white"/>'
    return "\n".join([head, back, _text(10, 26, title, size=18, weight="bold"), *parts, "</svg>\n"])
