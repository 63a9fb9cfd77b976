"""docs/images/performance.svg: what each variant adds to a request, and what is left of the bare app's throughput."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_WIDTH, _GAP, _ROW, _LABEL, _TOP = 880, 40, 24, 150, 64
_STYLE = """
text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 }
.note { fill: #59636e; font-size: 12px }
.bar { fill: #9aa4af } .ours { fill: #0a7d5a } .ours-text { font-weight: 600 } .axis { stroke: #8c959f }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .note { fill: #9198a1 }
  .bar { fill: #586069 } .ours { fill: #2fbf8f } .axis { stroke: #6e7681 }
}
"""
_TITLES = {"fastapi": "FastAPI", "flask": "Flask"}
_SERVERS = {"fastapi": "uvicorn", "flask": "gunicorn"}


def svg(results: Mapping[str, Any]) -> str:
    """Return the chart of what was measured."""
    width = (_WIDTH - _GAP) / 2
    parts: list[str] = []
    top = 0.0
    for framework, title in _TITLES.items():
        variants = results.get(framework, {})
        added, kept = _added(variants), _kept(variants)
        rows = max(len(added), len(kept))
        if not rows:
            continue
        most = max((value for _, value in added), default=1.0)
        texts = (f"{title}: M instructions added to a request", "fewer is better")
        parts += _panel(added, most, texts, (0, top, width))
        texts = (f"{title} under {_SERVERS[framework]}: share of bare's requests/s", "more is better")
        parts += _panel(kept, max([1.0, *(value for _, value in kept)]), texts, (width + _GAP, top, width))
        top += _TOP + rows * _ROW + 16
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top:.0f}" width="{_WIDTH}" role="img" '
        f'aria-label="What each variant costs">\n<style>{_STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _added(variants: Mapping[str, Any]) -> list[tuple[str, float]]:
    bare = variants.get("bare", {}).get("instructions")
    if bare is None:
        return []
    found = [(name, (v["instructions"] - bare) / 1e6) for name, v in variants.items() if "instructions" in v]
    return sorted((pair for pair in found if pair[0] != "bare"), key=lambda pair: pair[1])


def _kept(variants: Mapping[str, Any]) -> list[tuple[str, float]]:
    found = [(name, v["throughput_ratio"]) for name, v in variants.items() if "throughput_ratio" in v]
    return sorted((pair for pair in found if pair[0] != "bare"), key=lambda pair: -pair[1])


def _panel(
    values: Sequence[tuple[str, float]], most: float, texts: tuple[str, str], place: tuple[float, float, float]
) -> list[str]:
    if not values:
        return []
    (title, note), (left, top, width) = texts, place
    room = width - _LABEL - 48
    start = left + _LABEL
    lines = [
        f'<text class="title" x="{left:.0f}" y="{top + 20:.0f}">{escape(title)}</text>',
        f'<text class="note" x="{left:.0f}" y="{top + 40:.0f}">{escape(note)}</text>',
    ]
    for number, (name, value) in enumerate(values):
        y = top + _TOP + number * _ROW
        length = max(1.0, room * max(value, 0.0) / most)
        bar, label = ("ours", "ours-text") if name == "obskit" else ("bar", "label")
        lines += [
            f'<text class="{label}" x="{start - 8:.0f}" y="{y + 4:.0f}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{bar}" x="{start:.0f}" y="{y - 8:.0f}" width="{length:.1f}" height="16" rx="2"/>',
            f'<text class="{label}" x="{start + length + 6:.1f}" y="{y + 4:.0f}">{value:.2f}</text>',
        ]
    bottom = top + _TOP + len(values) * _ROW - 8
    lines.append(f'<line class="axis" x1="{start:.0f}" y1="{top + _TOP - 12:.0f}" x2="{start:.0f}" y2="{bottom:.0f}"/>')
    return lines
