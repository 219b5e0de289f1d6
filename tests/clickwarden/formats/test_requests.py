"""What a request is: a sign-in, a file of a page, a file manager's, or a visitor's."""

import pytest

from clickwarden.formats.requests import event_of, is_sign_in_query, kind_of

SIGN_INS = [
    "/login",
    "/Login.aspx",
    "/Account/Login",
    "/Identity/Account/Login",
    "/login/index.php",
    "/index.php/login",
    "/login_check",
    "/login.jsp",
    "/do_login",
    "/wp-login.php",
    "/xmlrpc.php",
    "/wp-json/jwt-auth/v1/token",
    "/users/sign_in",
    "/users/sign_in.json",
    "/session",
    "/sessions",
    "/api/v4/session",
    "/rest/auth/1/session",
    "/accounts/login/",
    "/api-token-auth/",
    "/api/token/",
    "/auth/jwt/create",
    "/dj-rest-auth/login/",
    "/api/v1/auth/login",
    "/api/auth/signin",
    "/auth/sign_in",
    "/auth",
    "/authenticate",
    "/users/authenticate",
    "/api/v1/authn",
    "/token",
    "/oauth/token",
    "/oauth2/token",
    "/oauth2/v1/token",
    "/connect/token",
    "/realms/shop/protocol/openid-connect/token",
    "/auth/v1/token",
    "/realms/shop/login-actions/authenticate",
    "/j_spring_security_check",
    "/j_security_check",
    "/j_acegi_security_check",
    "/customer/account/loginPost/",
    "/rest/V1/integration/customer/token",
    "/my-account/",
    "/administrator/index.php",
    "/admin/login.php",
    "/v1/accounts:signInWithPassword",
    "/usernamepassword/login",
    "/api/auth/local",
    "/api/auth/callback/credentials",
    "/owa/auth.owa",
    "/remote/logincheck",
    "/SignIn",
    "/log%69n",
    "//login",
    "/login;jsessionid=1",
    "/api/../login",
]
NO_SIGN_INS = [
    "/",
    "/blogin",
    "/login.css",
    "/loginhelp",
    "/logout",
    "/cart",
    "/checkout",
    "/catalog/in",
    "/authors",
    "/p/login-bag-7",
    "/tokenize",
    "/signup",
    "/plugin",
    "/api/session/heartbeat",
    "/article/how-to-sign-in",
    "/oauth/authorize",
    "/products/token",
    "/wishlist/add",
    "/sessions-report",
]


@pytest.mark.parametrize("path", SIGN_INS)
def test_a_sign_in_is_one(path: str) -> None:
    assert event_of("POST", 200, kind_of(path)) == "login"
    assert event_of("POST", 403, kind_of(path)) == "login_failed"
    assert event_of("GET", 200, kind_of(path)) == "view"


@pytest.mark.parametrize("path", NO_SIGN_INS)
def test_what_only_looks_like_a_sign_in_is_none(path: str) -> None:
    assert event_of("POST", 200, kind_of(path)) == "submit"


@pytest.mark.parametrize(
    ("query", "is_one"),
    [
        ("?_task=login", True),
        ("?route=account/login", True),
        ("?title=Special:UserLogin&returnto=x", True),
        ("?option=com_users&task=user.login", True),
        ("?mode=login", True),
        ("?next=/login", False),
        ("?redirect_to=/wp-login.php", False),
        ("?q=how+to+login", False),
        ("", False),
    ],
)
def test_a_query_says_that_it_is_a_sign_in(query: str, is_one: bool) -> None:
    assert is_sign_in_query(query) == is_one


@pytest.mark.parametrize(
    ("method", "status", "path", "event"),
    [
        ("GET", 401, "/admin", "login_failed"),
        ("PROPFIND", 401, "/dav", "login_failed"),
        ("GET", 200, "/static/app.JS", "static"),
        ("GET", 304, "/a.webp", "static"),
        ("GET", 404, "/a.webp", "view"),
        ("POST", 200, "/a.webp", "submit"),
        ("GET", 200, "/a.json", "view"),
        ("PROPFIND", 207, "/files", "webdav"),
        ("PUT", 201, "/remote.php/dav/files/ann/1", "webdav"),
        ("PUT", 200, "/api/cart", "submit"),
        ("OPTIONS", 204, "/", "other"),
        ("", 400, "", "other"),
    ],
)
def test_an_event_follows_from_method_status_and_path(
    method: str, status: int, path: str, event: str
) -> None:
    assert event_of(method, status, kind_of(path)) == event


@pytest.mark.parametrize(
    "path",
    [
        "/login.php/x.css",
        "/shop/product.aspx/1/x.js",
        "/p/5;.png",
        "/p/5;v=1/..;x.css",
        "/p/5%3b.png",
        "/p/5%00.css",
        "/p/5%0a.css",
        "/p/5%23.css",
        "/p/5%3f.css",
        "/p/5%5c.css",
        "/static/..%2fp%2f5",
        "/static/../p/5",
    ],
)
def test_a_suffix_that_some_servers_do_not_look_at_makes_no_static_file(path: str) -> None:
    assert event_of("GET", 200, kind_of(path)) == "view"


def test_a_sign_in_is_one_whatever_stands_behind_it() -> None:
    for path in ("/wp-login.php/x.css", "/login;.png", "/login%00.css", "/login%23.css"):
        assert event_of("POST", 200, kind_of(path)) == "login"


@pytest.mark.parametrize(
    "path", ["/static/v1.2/app.min.js", "/a.php.css", "/img/caf%C3%A9.png", "/fonts/x.woff2;v=1"]
)
def test_a_static_file_is_one(path: str) -> None:
    assert event_of("GET", 200, kind_of(path)) == "static"
    for method, status in (("POST", 200), ("OPTIONS", 200), ("GET", 404), ("HEAD", 500)):
        assert event_of(method, status, kind_of(path)) != "static"
