"""The files the page is made of, served from memory."""

import hashlib
import mimetypes
from pathlib import Path
from typing import NamedTuple

from aiohttp import ETag, web

STATIC = Path(__file__).parent / "static"
#: What stands above the content of each page, in place of an empty header.
HEADER = (Path(__file__).parent / "header.html").read_bytes().rstrip()


class File(NamedTuple):
    """A file of the page.

    Attributes:
        body: what is in it.
        content_type: its media type, by its name.
        tag: its entity tag, which changes with the body (RFC 9110, 8.8.3).
    """

    body: bytes
    content_type: str
    tag: str

    @classmethod
    def read(cls, path: Path) -> "File":
        """Read a file; of a page, with the header, in which the link to it is marked."""
        own = b'<a href="/%s"' % (b"" if path.stem == "now" else path.stem.encode())
        header = HEADER.replace(own + b">", own + b' aria-current="page">')
        body = path.read_bytes().replace(b"<header></header>", header)
        content_type, _ = mimetypes.guess_type(path.name)
        return cls(body, content_type or "application/octet-stream", hashlib.sha256(body).hexdigest()[:16])


#: By name. aiohttp's own handler asks a thread for each of a page's dozen files.
FILES = {path.name: File.read(path) for path in STATIC.iterdir()}


def answer(request: web.Request, name: str) -> web.Response:
    """The file, unless the browser's copy is the same.

    Raises:
        HTTPNotFound: there is no such file.
    """
    if name not in FILES:
        raise web.HTTPNotFound
    file = FILES[name]
    known = request.if_none_match or ()
    if any(tag.value in (file.tag, "*") for tag in known):
        response = web.Response(status=304)
    else:
        response = web.Response(body=file.body, content_type=file.content_type, charset="utf-8")
    response.etag = ETag(value=file.tag)
    response.headers["Cache-Control"] = "no-cache"  # it may be kept, and is asked for anew
    return response
