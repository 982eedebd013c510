"""The few SVG elements that a plot needs, readable on light and on dark. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

# An SVG shown as an image follows the reader's colour scheme by itself.
STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2937; }
  .title { font-weight: 600; font-size: 13px; }
  .heading { font-weight: 600; font-size: 17px; }
  .quiet { fill: #6b7280; font-size: 11px; }
  .ours { fill: #1d4ed8; font-weight: 600; }
  .end { text-anchor: end; } .middle { text-anchor: middle; }
  .ground { fill: #ffffff; }
  .bar { fill: #b6bfca; } .bar-base { fill: #6b7280; } .bar-ours { fill: #2563eb; }
  .axis { stroke: #6b7280; stroke-width: 1; } .grid { stroke: #e5e7eb; }
  .target { stroke: #c2410c; stroke-width: 2; }
  .line { fill: none; stroke: #a3adba; stroke-width: 1.5; }
  .line-base { fill: none; stroke: #4b5563; stroke-width: 2; }
  .line-ours { fill: none; stroke: #2563eb; stroke-width: 2.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e5e7eb; } .quiet { fill: #9ca3af; } .ours { fill: #93c5fd; }
    .ground { fill: #0d1117; }
    .bar { fill: #4b5563; } .bar-base { fill: #9ca3af; } .bar-ours { fill: #60a5fa; }
    .axis { stroke: #9ca3af; } .grid { stroke: #272e38; } .target { stroke: #fb923c; }
    .line { stroke: #64707f; } .line-base { stroke: #d1d5db; }
    .line-ours { stroke: #60a5fa; }
  }
"""
Point = tuple[float, float]


def text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(words)}</text>'


def bar(x: float, y: float, width: float, height: float, kind: str) -> str:
    """`width` may be negative: to the left."""
    left, size = (x, width) if width >= 0 else (x + width, -width)
    place = f'x="{left:.1f}" y="{y:.1f}" width="{size:.1f}" height="{height:.1f}"'
    return f'<rect {place} rx="2" class="{kind}"/>'


def line(start: Point, end: Point, kind: str) -> str:
    (x1, y1), (x2, y2) = start, end
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {place} class="{kind}"/>'


def path(points: Sequence[Point], kind: str) -> str:
    steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{steps}" class="{kind}"/>'


def dot(at: Point, kind: str) -> str:
    return f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="3" class="{kind}"/>'


def document(width: float, height: float, title: str, elements: Sequence[str]) -> str:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}"'
    size += f' width="{width:.0f}" height="{height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    ground = bar(0, 0, width, height, "ground")
    parts = [head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>"]
    return "\n".join([*parts, ground, *elements, "</svg>", ""])
