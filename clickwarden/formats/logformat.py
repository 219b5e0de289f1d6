r"""A log's own format, as the server's configuration has it: nginx' ``log_format``, Apache's ``LogFormat``.

>>> layout_of("$host $remote_addr [$time_local] \"$request\" $status").name
'--format'
"""

import re
from collections.abc import Iterator

from clickwarden.errors import SettingsError
from clickwarden.formats.accesslog import QUOTED, REQUEST, Layout, target

#: What the variables of nginx say, and the directives of Apache. Headers that a client may write and no
#: proxy has to (X-Real-IP, CF-Connecting-IP) say nothing.
NGINX = {
    "remote_addr": "client",
    "http_x_forwarded_for": "forwarded",
    "proxy_add_x_forwarded_for": "forwarded",
    "time_local": "time",
    "time_iso8601": "time",
    "msec": "time",
    "request": "request",
    "request_method": "method",
    "request_uri": "target",
    "uri": "target",
    "document_uri": "target",
    "status": "status",
}
APACHE = {
    "h": "client",
    "a": "client",
    "t": "time",
    "r": "request",
    "m": "method",
    "U": "target",
    "s": "status",
    "{x-forwarded-for}i": "forwarded",
    "{c}a": "client",
    "{sec}t": "time",
    "{msec}t": "time",
    "{usec}t": "time",
}
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
_DIRECTIVE = re.compile(r"%(?:[!\d,]+|[<>])?((?:\{[^}]*\}\^?)?[A-Za-z%]{1,2}?)")
_PORT = re.compile(r"\[?(\$remote_addr|%a|%h)\]?:(?:\$remote_port|%\{remote\}p)")
_FIELDS = {
    "request": REQUEST + QUOTED,
    "method": r"(?P<method>[A-Z]*(?:-[A-Z]+)?)",
    "status": r"(?P<status>\d{3})",
}


def layout_of(text: str) -> Layout:
    """The layout of lines that a server writes by this format string.

    Given may be the string, or the whole directive as it stands in the configuration.

    Raises:
        SettingsError: it does not say who or when, or is no format string.
    """
    bare = _PORT.sub(r"\1", _bare(text)).replace("%U%q", "%U")
    known, parts = (NGINX, _nginx(bare)) if "$" in bare else (APACHE, _apache(bare))
    pattern, times, roles = "", "", set[str]()
    pieces = list(parts)
    for index, (is_field, piece) in enumerate(pieces):
        if not is_field:
            pattern += re.escape(piece)
            continue
        following = pieces[index + 1][1]
        role = known.get(piece, "")
        if known is APACHE and re.fullmatch(r"\{(?:begin:|end:)?[^}]*%[^}]*\}t", piece):
            role, times = "time", piece[1:-2].removeprefix("begin:").removeprefix("end:")
        if role in roles or (role == "request" and roles & {"method", "target"}):
            role = ""
        roles |= {"method", "target", role} if role == "request" else {role}
        if piece == "t":
            pattern += r"\[(?P<time>[^\]\n]*+)\]"
        else:
            pattern += _field(role, following)
    if "time" not in roles or not roles & {"client", "forwarded"}:
        raise SettingsError(
            f"--format {text!r} must say who ($remote_addr or %h) and when ($time_local, $time_iso8601 or "
            "%t), as in the server's log_format or LogFormat"
        )
    return Layout("--format", pattern, times)


def _bare(text: str) -> str:
    """The format string of a directive."""
    directive = re.match(r"\s*(log_format\s+\S+(?:\s+escape=\w+)?|LogFormat)\s+", text)
    if not directive:
        return text
    rest = text[directive.end() :]
    if directive[1] == "LogFormat":
        quoted = re.match(r'"((?:[^"\\]|\\.)*)"', rest)
        return re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else rest.rsplit(maxsplit=1)[0]
    strings = re.findall(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", rest)
    return "".join(re.sub(r"\\(['\"\\])", r"\1", single or double) for single, double in strings)


def _nginx(text: str) -> Iterator[tuple[bool, str]]:
    """Fields, by name, and what stands between them."""
    end = 0
    for match in _VARIABLE.finditer(text):
        yield False, text[end : match.start()]
        yield True, match[1] or match[2]
        end = match.end()
    yield False, text[end:]


def _apache(text: str) -> Iterator[tuple[bool, str]]:
    end = 0
    for match in _DIRECTIVE.finditer(text):
        yield False, text[end : match.start()].replace("\\t", "\t")
        name = match[1]
        yield (False, "%") if name == "%" else (True, name if name.endswith("t") else _small(name))
        end = match.end()
    yield False, text[end:].replace("\\t", "\t")


def _small(name: str) -> str:
    """The name of a header in small letters; a directive as it is."""
    header, brace, letter = name.rpartition("}")
    return header.lower() + brace + letter


def _field(role: str, following: str) -> str:
    """Pattern of a field before this text; at the end of the line that is empty.

    It goes on to where the text begins, and never back, whatever somebody has made up to be slow.
    """
    if role == "request" and following and not following.startswith('"'):
        return REQUEST + rf"(?:(?!{re.escape(following)})[^\n])*+"
    if role == "target":
        return target(re.escape(following[:1].strip()))
    if role in _FIELDS:
        return _FIELDS[role]
    if following.startswith('"'):
        inner = QUOTED
    elif following == " ":
        # A list goes on behind a comma, and one of nginx' upstreams behind a colon.
        inner = r"[^ \n]*+(?:(?<=[,:]) [^ \n]*+)*+"
    elif len(following) < 2:
        inner = rf"[^{re.escape(following)}\n]*+"
    else:
        inner = rf"(?:(?!{re.escape(following)})[^\n])*+"
    return f"(?P<{role}>{inner})" if role else inner
