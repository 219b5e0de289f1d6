"""Draw the diagrams of ``docs/`` for the site: ``python -m experiments.drawing mermaid.min.js``.

Pages have them as text, which GitHub draws. The site shows drawings, or whoever reads it would load Mermaid
from elsewhere. A drawing's name says of which text it is, and without it the site is not built. Mermaid is
``dist/mermaid.min.js`` of its package for Node.js.
"""

import re
import sys
from hashlib import sha256
from pathlib import Path

from experiments.chromium import chromium

DOCS = Path(__file__).parents[1] / "docs"
DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Labels as SVG's own text: what an image shows may hold no HTML.
SETTINGS = {
    "startOnLoad": False,
    "htmlLabels": False,
    "flowchart": {"htmlLabels": False},
    "theme": "neutral",
    "deterministicIds": True,
    "fontFamily": "system-ui, sans-serif",
}
DRAW = """async ([settings, text]) => {
    mermaid.initialize(settings)
    return (await mermaid.render("drawn", text)).svg
}"""


def drawing(text: str) -> str:
    """Where the drawing of a diagram is, from ``docs/``: each text has another."""
    return f"img/diagram-{sha256(text.encode()).hexdigest()[:12]}.svg"


def draw(mermaid: Path) -> None:
    """Draw all that are in the pages, and remove the drawings of what is not."""
    texts = [text for page in sorted(DOCS.rglob("*.md")) for text in DIAGRAM.findall(page.read_text())]
    for old in (DOCS / "img").glob("diagram-*.svg"):
        old.unlink()
    with chromium() as browser:
        page = browser.new_page()
        page.add_script_tag(path=mermaid)
        for text in texts:
            drawn = page.evaluate(DRAW, [SETTINGS, text])
            (DOCS / drawing(text)).write_text(f"{drawn}\n")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
