"""A bar for each server's capacity, as SVG."""

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
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {at + 10}" font-family="sans-serif">'
    back = f'<rect width="{_WIDTH}" height="{at + 10}" fill="white"/>'
    return "\n".join([head, back, _text(10, 26, title, size=18, weight="bold"), *parts, "</svg>\n"])


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 13, weight: str = "normal") -> str:
    style = f'text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{_TEXT}"'
    return f'<text x="{x:.1f}" y="{y}" {style}>{escape(text)}</text>'
