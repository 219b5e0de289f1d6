"""A message as text and as HTML."""

from collections.abc import Iterator
from html import escape

from clickwarden.channels.message import Message

#: What a link says by which people say what it was.
ASKED = "Human, bot, or not now? Say what it was"

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{subject}</title></head>
<body style="font-family: sans-serif; overflow-wrap: anywhere">
{content}
</body></html>
"""


def lines(message: Message) -> Iterator[str]:
    """What stands below the title, a line each."""
    for fact in message.facts:
        separator = " " if fact.about.endswith(".") else ": "
        yield f"{fact.about}{separator}{fact.text}"


def text(message: Message) -> str:
    """Below the title, for readers that show text as it stands."""
    feedback = f"{ASKED}: {message.feedback}" if message.feedback else ""
    parts = [message.mark, "\n".join(lines(message)), feedback, message.link]
    return "\n\n".join(filter(None, parts))


def html(message: Message) -> str:
    """A document of its own, with nothing in it that loads or runs."""
    content = [f"<p><strong>{escape(message.mark)}</strong></p>"] if message.mark else []
    content.append(f"<h2>{escape(message.title)}</h2>")
    rows = (
        f'<tr><th align="left" valign="top" nowrap>{escape(fact.about)}</th><td>{escape(fact.text)}</td></tr>'
        for fact in message.facts
    )
    content.append(f'<table cellpadding="4">{"".join(rows)}</table>')
    if message.feedback:
        content.append(f'<p><a href="{escape(message.feedback)}" rel="noreferrer">{ASKED}</a></p>')
    if message.link:
        content.append(f'<p><a href="{escape(message.link)}">See it on the page</a></p>')
    return _PAGE.format(subject=escape(message.subject), content="\n".join(content))
