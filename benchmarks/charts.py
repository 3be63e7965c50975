"""`python -m benchmarks.charts JSON HTML`: a page of SVG charts of a benchmark's JSON, self-contained, no scripts.

Bars are medians; the thin line on each is from the least to the greatest. Runs in an environment of its own, which has
pygal: small, pure Python, and its SVG needs nothing beside it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import pygal
from pygal.style import Style

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>harvester: benchmarks</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
  figure {{ margin: 2rem 0; }}
  svg {{ width: 100%; height: auto; }}
</style>
<h1>Benchmarks</h1>
<p>{not_shown}</p>
<p>{measured}</p>
{figures}
</html>
"""
_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    colors=("#1f6f8b",),
    ci_colors=("#222222",),
    value_font_size=11,
    guide_stroke_color="#cccccc",
    major_guide_stroke_color="#cccccc",
    font_family="system-ui, sans-serif",
)
_SCRIPT = re.compile(r"<script.*?(?:</script>|/>)", re.DOTALL)
_BAR_HEIGHT, _MARGIN = 34, 110


def main(told: str, page: str) -> None:
    """Draw."""
    document = json.loads(Path(told).read_text(encoding="utf-8"))
    figures = [_figure(section) for section in document["sections"] if section["bars"]]
    machine, versions = document["machine"], document["versions"]
    measured = (
        f"{document['started_at'][:10]}, commit {document['commit']}, {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB, {machine['system']}, Python {versions['python']}, nginx {versions['nginx']}"
    )
    text = _PAGE.format(
        not_shown=escape(document["not_shown"]), measured=escape(measured), figures="\n".join(figures)
    )
    Path(page).write_text(text, encoding="utf-8")


def _figure(section: Mapping[str, Any]) -> str:
    bars = section["bars"][::-1]  # pygal draws from the bottom up
    chart = pygal.HorizontalBar(
        js=(),
        style=_STYLE,
        show_legend=False,
        print_values=True,
        truncate_label=-1,
        height=_MARGIN + _BAR_HEIGHT * len(bars),
        width=960,
        disable_xml_declaration=True,
        formatter=_said,
        include_x_axis=True,
    )
    chart.x_labels = [bar["label"] for bar in bars]
    chart.add(section["unit"], [_value(bar) for bar in bars])
    caption = f"{escape(section['title'])}; {escape(section['unit'])}"
    drawn = _SCRIPT.sub("", chart.render(is_unicode=True))  # for tooltips, which need a file from elsewhere
    return f"<figure><figcaption>{caption}</figcaption>{drawn}</figure>"


def _value(bar: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": bar["value"], "ci": {"low": bar["least"], "high": bar["greatest"]}}


def _said(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main(*sys.argv[1:])
