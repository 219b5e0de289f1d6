"""``docs``: the tables and plots of docs/performance.md, from the newest results."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import plots, results

#: Where a broker of one's own was is nobody else's concern.
BROKER = r" --broker \S+"
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def refresh(page: Path = PAGE) -> None:
    """Fill in what stands between ``<!-- NAME -->`` and ``<!-- /NAME -->`` for every benchmark with results.

    The plot of a benchmark goes to ``img/NAME.svg`` beside the page.
    """
    console = Console(stderr=True, highlight=False)
    text = page.read_text()
    for name in re.findall(r"^<!-- ([a-z-]+) -->$", text, re.MULTILINE):
        kept = results.newest(name)
        if kept is None:
            console.print(f"{name}: never measured here; left as it is", style="dim")
            continue
        plot = page.parent / "img" / f"{name}.svg"
        plots.draw(name, kept["figures"], plot)
        image = f"\n![{kept['title']}](img/{plot.name})\n" if plot.exists() else ""
        text = filled(text, {name: section(kept) + image})
        console.print(f"{name}: of {kept['time']}", style="dim")
    page.write_text(text)


def filled(text: str, parts: Mapping[str, str]) -> str:
    """The text with each part, by name, between ``<!-- NAME -->`` and ``<!-- /NAME -->``."""
    for name, part in parts.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        text = before + start + part + end + after
    return text


def section(kept: dict[str, Any]) -> str:
    """Command, title, table and goals of one result, as Markdown."""
    header, *_ = rows = kept["rows"]
    machine = kept["machine"]
    lines = [
        f"`.venv/bin/{re.sub(BROKER, '', kept['command'])}`, {kept['time'][:10]}, {machine['cores']} cores, "
        f"Kafka {machine['kafka']}: {kept['title']}.",
        "",
        f"| {' | '.join(header)} |",
        "|---" + "|--:" * (len(header) - 1) + "|",
        *(f"| {' | '.join(row.values())} |" for row in rows),
        "",
    ]
    if kept["goals"]:
        lines += ["| goal | figure | |", "|---|--:|---|"]
        lines += [
            f"| {goal['what']} | {goal['figure']:,.3g} | {'met' if goal['met'] else '**missed**'} |"
            for goal in kept["goals"]
        ]
        lines.append("")
    return "\n".join(lines) + "\n"
