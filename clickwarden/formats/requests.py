"""What a request is: the click that a line of a log becomes, whatever its format.

============  =====================================================================
user_id       the client's address (:mod:`~clickwarden.formats.clients`)
event         see :func:`event_of`
product_id    the path without the query
timestamp     when the server received the request, in the zone it names; else UTC
============  =====================================================================

Method and status are the click's :class:`~clickwarden.detection.clicks.Request`.
"""

import re
from collections.abc import Callable, Sequence
from itertools import compress
from operator import not_
from posixpath import normpath
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.clicks import Clicks, Rejected, Request
from clickwarden.formats.clients import Clients
from clickwarden.formats.lines import Block

#: Why a line is no click.
NO_REQUEST = "no line of an access log"
NO_CLIENT = "the client is neither an address nor a host name"
#: Events that are marked because no rule for people is meant for them: a browser or a file manager sends
#: dozens at once.
STATIC, WEBDAV = "static", "webdav"

#: Paths that are remembered; beyond that all are forgotten, and judged again.
REMEMBERED = 100_000
VIEWS = frozenset({"GET", "HEAD"})
CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: The verbs of WebDAV (RFC 4918 and what builds on it) that no shop uses.
WEBDAV_VERBS = frozenset(
    {"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "ACL"}
    | {"MKCALENDAR", "BIND", "UNBIND", "REBIND", "VERSION-CONTROL", "CHECKOUT", "CHECKIN", "UNCHECKOUT"}
    | {"MKWORKSPACE", "UPDATE", "LABEL", "MERGE", "BASELINE-CONTROL", "MKACTIVITY", "ORDERPATCH"}
)
#: Where it is served, by Nextcloud, ownCloud, and servers of calendars.
WEBDAV_PATH = re.compile(r"/(?:remote\.php/)?(?:web|cal|card)?dav(?:\.php)?(?:/.*)?")
STATIC_PATH = re.compile(
    r"/_(?:next/image|vercel/image|ipx/.*)|.*\.(?:css|m?js|map|wasm|png|jpe?g|gif|webp|avif|svgz?|ico|cur|bmp|tiff?|woff2?|ttf|otf|eot"
    r"|mp[34]|m4[av]|webm|og[agv]|wav|flac|m3u8|webmanifest)"
)
#: A script, to which what stands behind it is an argument (PATH_INFO of CGI, PHP, ASP.NET and others).
SCRIPT = re.compile(r".*?\.(?:php\d?|phtml|f?cgi|p[ly]|aspx?|as[hm]x|jspx?|jsf|cfm|do|action)(?=/)")
#: Decoded, these end the path, or a part of it, for some servers and not for others, as web cache deception
#: has it: what stands before them is what may have been asked for.
ENDS = re.compile(r"[?#\\\0-\x1f].*", re.DOTALL)
#: What a refusal of a sign-in says: not allowed, or not so often.
REFUSED = frozenset({400, 401, 403, 422, 423, 429})

_LOGIN = r"(?:log[-_]?[io]n|sign[-_]?in|authenticat(?:e|ion)|authn?)"
#: Paths to sign in at, in small letters, decoded, without a slash at the end: the usual words, and what
#: the frameworks beside it call theirs.
SIGN_IN_PATH = re.compile(
    rf"""/token | (?:.*/)?(?:
      (?:wp|user|admin|account|customer|member|client|do|ajax|check|process|submit|post|form)?[-_.]?{_LOGIN}
          (?:[-_]?(?:check|post|form|action|process|submit|user|admin|password|do))?(?:\.\w+)?
    | {_LOGIN}/(?:index(?:\.\w+)?|password|identifier|email|local|credentials|submit|post|basic|verify)
    | login-actions/authenticate                            # Keycloak
    | sessions?(?:\.\w+)? | user_sessions? | sessions?/(?:new|create) | userlogin
    | j_(?:spring_)?(?:security|acegi_security)_check       # Spring, Jakarta EE, Jenkins
    | xmlrpc\.php                                           # WordPress
    | (?:oauth2?|connect|openid-connect|auth|jwt|jwt-auth)/(?:[\w.-]+/)?(?:token|ro|access_token|jwt/create)
    | (?:api-)?token-auth | api/token | token/(?:obtain|create) | jwt/create | get[-_]?token  # Django REST
    | api/v\d+/token | integration/(?:customer|admin)/token  # Magento
    | auth/local | auth/callback/credentials                # Strapi, NextAuth
    | accounts:signinwithpassword | verifypassword          # Firebase
    | idp/idx/(?:identify|challenge/answer) | adfs/ls       # Okta, Microsoft
    | loginuserpass(?:\.php)? | administrator/index\.php    # SimpleSAMLphp, Joomla
    | my-account | mein-konto | mon-compte                  # WooCommerce
    | anmelden | anmeldung | connexion | entrar | acceso | iniciar-sesion | inloggen | accedi
    | owa/auth\.owa | _windows/default\.aspx | loginuser
    )""",
    re.VERBOSE,
)
#: A query that says as much, of Roundcube, phpBB, MediaWiki, OpenCart, PrestaShop, Joomla and the like.
SIGN_IN_QUERY = re.compile(
    r"(?:^|.*[?&;])(?!(?:next|return\w*|redirect\w*|continue|url|from|ref\w*|service|goto|back|dest\w*)=)"
    rf"[\w.\[\]-]+=(?:[\w./:-]*[./:_-])?(?:user|customer)?{_LOGIN}(?:&.*|;.*|$)"
)
#: Where a sign-in is told from other requests by its body alone: it is one where the log says that no page
#: has sent it, by status, bytes and referer of the combined format.
NO_REFERER = re.compile(rb'" \d{3} (?:\d+|-) "-"')
GRAPHQL_PATH = re.compile(r"(?:.*/)?graphql(?:/.*)?")


class Columns(NamedTuple):
    """What some lines of a log say, a row a line.

    Attributes:
        peers: who was connected, as it is written; empty where the line is none of the log's.
        forwarded: X-Forwarded-For; None where nobody reads it.
        times: float64[n], epoch seconds; NaN where there is none.
        methods, paths: empty where the request is not HTTP.
        queries: from the question mark on.
        statuses: as text or number; empty or 0 where it is not said.
    """

    peers: Sequence[str]
    forwarded: Sequence[str] | None
    times: NDArray[np.float64]
    methods: Sequence[str]
    paths: Sequence[str]
    queries: Sequence[str]
    statuses: Sequence[str | int]


class Requests:
    """Makes clicks of lines, and remembers what it has found out about clients and paths."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._kinds = _Kinds()
        self._acts = _Acts()

    def block(self, columns: Columns, first: int, lines: Callable[[], list[bytes]]) -> Block:
        """Some lines as clicks.

        Args:
            columns: what they say.
            first: number of the first.
            lines: the lines themselves, asked for where one is bad.
        """
        size = len(columns.peers)
        users = self._clients.of(columns.peers, columns.forwarded)
        kinds = list(map(self._kinds.__getitem__, columns.paths))
        if any(columns.queries) or "graphql" in kinds:
            self._look_closer(kinds, columns, lines)
        acts = list(map(self._acts.__getitem__, zip(columns.methods, columns.statuses, kinds, strict=True)))
        events, requests = [event for event, _ in acts], [request for _, request in acts]
        products: list[str | int | None] = [path or None for path in columns.paths]
        times, bad, blank = columns.times, list[Rejected](), 0
        timely = ~np.isnan(times)
        if not (all(users) and timely.all()):
            good = [bool(user) and time for user, time in zip(users, timely.tolist(), strict=True)]
            bad, blank = self._bad(good, columns, first, lines())
            users, events = list(compress(users, good)), list(compress(events, good))
            products, requests = list(compress(products, good)), list(compress(requests, good))
            times = times[np.array(good, np.bool_)]
        clicks = Clicks(users, events, products, times, rejected=bad, requests=requests)
        return Block(clicks, size, 0, blank)

    def _bad(
        self, good: list[bool], columns: Columns, first: int, lines: list[bytes]
    ) -> tuple[list[Rejected], int]:
        """The lines that are no click, and how many more are blank."""
        bad, blank = [], 0
        for index in compress(range(len(good)), map(not_, good)):
            line = lines[index]
            if not line.strip():
                blank += 1
            elif columns.peers[index] and columns.times[index] > 0:
                peer = columns.peers[index][:80]
                bad.append(Rejected(first + index, None, line, NO_CLIENT, repr(peer)))
            else:
                text = line[:80].decode(errors="backslashreplace")
                bad.append(Rejected(first + index, None, line, NO_REQUEST, repr(text)))
        return bad, blank

    def _look_closer(self, kinds: list[str], columns: Columns, lines: Callable[[], list[bytes]]) -> None:
        """Find the sign-ins that the path alone does not tell."""
        for index, query in enumerate(columns.queries):
            if query and columns.methods[index] == "POST" and is_sign_in_query(query):
                kinds[index] = "login"
        if "graphql" not in kinds:
            return
        texts = lines()
        for index, kind in enumerate(kinds):
            if kind == "graphql":
                kinds[index] = "login" if NO_REFERER.search(texts[index]) else ""


class _Kinds(dict[str, str]):
    """What is behind a path."""

    def __missing__(self, path: str) -> str:
        if len(self) >= REMEMBERED:
            self.clear()
        kind = self[path] = kind_of(path)
        return kind


class _Acts(dict[tuple[str, str | int, str], tuple[str, Request]]):
    """Event and request by method, status and kind of path."""

    def __missing__(self, key: tuple[str, str | int, str]) -> tuple[str, Request]:
        method, said, kind = key
        status = int(said) if str(said).isdecimal() else 0
        act = event_of(method, status, kind), Request(method, status)
        if len(self) < REMEMBERED:
            self[key] = act
        return act


def event_of(method: str, status: int, kind: str) -> str:
    """What a request does, in the words of the rules.

    ``login_failed`` for status 401, whatever was asked for, and for a sign-in
    that was refused; ``login`` for any other POST to a sign-in (many answer
    200 to a wrong password); ``static`` for a file that belongs to a page;
    ``webdav`` for what a file manager does; ``view`` for GET and HEAD;
    ``submit`` for POST, PUT, PATCH and DELETE; ``other`` for what else a
    client may send, also where it is not HTTP.

    Args:
        method: of HTTP; empty where it is none.
        status: of the answer; 0 where it is not known.
        kind: of the path, see :func:`kind_of`.

    >>> event_of("GET", 401, ""), event_of("POST", 200, "login"), event_of("POST", 403, "login")
    ('login_failed', 'login', 'login_failed')
    >>> event_of("GET", 304, "static"), event_of("GET", 404, "static"), event_of("PROPFIND", 207, "")
    ('static', 'view', 'webdav')
    >>> event_of("PROPFIND", 405, "")
    'other'
    """
    if status == 401:
        return "login_failed"
    if method == "POST" and kind == "login":
        return "login_failed" if status in REFUSED else "login"
    if (method in WEBDAV_VERBS and status < 400) or (kind == "webdav" and method):
        return WEBDAV
    if method in VIEWS:
        return STATIC if kind == "static" and status < 400 else "view"
    return "submit" if method in CHANGES else "other"


def kind_of(path: str) -> str:
    """What is behind a path without its query: ``login``, ``graphql``, ``static``, ``webdav``; else empty.

    >>> kind_of("/log%69n"), kind_of("/blogin"), kind_of("/remote.php/dav/files/ann")
    ('login', '', 'webdav')
    >>> kind_of("/x;a/../login"), kind_of("/dav/../p/5"), kind_of("/p/5#.css")
    ('login', '', '')
    >>> kind_of("/login.php/x.css"), kind_of("/login;.png"), kind_of("/p/5%00.css"), kind_of("/v1.2/x.css")
    ('login', 'login', '', 'static')
    """
    decoded = ENDS.sub("", unquote(path).lower())
    plain = re.sub(r"//+", "/", re.sub(r";[^/]*", "", decoded))
    if "/." in plain:
        plain = normpath(plain)
    plain = plain.rstrip("/ ")
    script = SCRIPT.match(plain)
    if not script and STATIC_PATH.fullmatch(plain):
        return "static"
    if SIGN_IN_PATH.fullmatch(plain) or (script and SIGN_IN_PATH.fullmatch(script[0])):
        return "login"
    if WEBDAV_PATH.fullmatch(plain):
        return "webdav"
    return "graphql" if GRAPHQL_PATH.fullmatch(plain) else ""


def is_sign_in_query(query: str) -> bool:
    """Whether a query says that its request is a sign-in.

    >>> is_sign_in_query("?_task=login"), is_sign_in_query("?next=/login")
    (True, False)
    """
    return SIGN_IN_QUERY.match(unquote(query).lower()) is not None
