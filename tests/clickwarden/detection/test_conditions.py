"""Which values fulfil what is written, and which clicks of a batch a rule counts."""

from typing import Any

import numpy as np
import pytest

from clickwarden.detection import conditions
from clickwarden.detection.batch import Batch
from clickwarden.detection.clauses import normal
from clickwarden.detection.clicks import Clicks, Request
from clickwarden.detection.conditions import Condition
from clickwarden.detection.rules import Rule


@pytest.mark.parametrize(
    ("written", "fulfils", "others"),
    [
        (404, ["404", "404.0", "4.04e2"], ["405", "0404", " 404", "", None]),
        ("404", ["404", "404.0"], ["4040", None]),
        (0.5, ["0.5", "5e-1"], [".5", "0.50001"]),
        (True, ["true"], ["True", "1", None]),
        ("GET", ["GET"], ["get", "GET ", "", None]),
        ("é", ["é"], ["e", "e\u0301"]),
        (["GET", "HEAD"], ["GET", "HEAD"], ["POST", None]),
        (["404", ">= 500"], ["404", "503"], ["403", None]),
        ("!GET", ["POST", "", None], ["GET"]),
        (["!GET", "!HEAD"], ["POST", None], ["GET", "HEAD"]),
        ("!404", ["200", "x", None], ["404", "404.0"]),
        (
            ">= 400",
            ["400", "400.0", "1e3", "9" * 5000, "1e999"],
            ["399", "-400", "x", "", None, "-" + "9" * 5000],
        ),
        (">= 400, < 500", ["400", "499.9"], ["399", "500"]),
        ("<0", ["-1", "-1e999"], ["0", "-0", "NaN"]),
        ("> 9007199254740992", ["9007199254740993"], ["9007199254740992"]),
        ("/api/*", ["/api/", "/api/x/y", "/api/\n"], ["/api", "/API/x", "x/api/x", None]),
        ("/api/?", ["/api/x"], ["/api/", "/api/xy"]),
        ("/[a-c]*", ["/a", "/cx"], ["/d", "/"]),
        ("/[!a-c]", ["/d", "/]"], ["/a", "/"]),
        ("[]]", ["]"], ["["]),
        ("*", ["x", "", "404"], [None]),
        ("!*", [None], ["x", ""]),
        ("!/static/*", ["/x", None], ["/static/x.css"]),
        (r"\!x", ["!x"], ["x", r"\!x", None]),
        (r"\>= 5", [">= 5"], ["6"]),
        (r"5\*", ["5*"], ["55", r"5\*"]),
        (r"\*.[js]\?", ["*.j?"], ["x.j?"]),
        (r"C:\dir", [r"C:\dir"], ["C:dir"]),
        (r"!\!x", ["x"], ["!x"]),
    ],
)
def test_a_value_fulfils_what_is_written(
    written: Any, fulfils: list[str | None], others: list[str | None]
) -> None:
    condition = Condition(normal({"field": written})["field"])
    for _ in range(2):  # also when it is remembered
        assert [value for value in fulfils if not condition[value]] == []
        assert [value for value in others if condition[value]] == []


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "REMEMBERED", 100)
    condition = Condition("/a*")
    for number in range(1000):
        assert condition[f"/a{number}"]
        assert not condition["x" * 1000 + str(number)]
    assert len(condition) <= 101


def matching(clicks: Clicks, **where: Any) -> list[int]:
    rule = Rule(name="bot", window=60, threshold=2, where=where)
    found: list[int] = Batch(clicks, rule.fields).matching(rule).tolist()
    return found


def made(size: int, **columns: list[Any]) -> Clicks:
    fields = {name: columns.pop(name) for name in list(columns) if name not in ("requests", "products")}
    products = columns.pop("products", [None] * size)
    users = [f"u{number}" for number in range(size)]
    return Clicks(users, ["view"] * size, products, np.zeros(size), fields=fields, **columns)  # type: ignore[arg-type]


def test_all_that_is_asked_must_hold() -> None:
    clicks = made(4, status=["404", "404", None, "200"], plan=["pro", None, "pro", "pro"])
    assert matching(clicks, status=404) == [0, 1]
    assert matching(clicks, status=404, plan="pro") == [0]
    assert matching(clicks, status="!404", plan="*") == [2, 3]
    assert matching(clicks, user_id=["u1", "u3"]) == [1, 3]
    assert matching(clicks, event="v*", product_id="!*") == [0, 1, 2, 3]


def test_the_fields_of_a_request_are_those_of_the_click_that_replay_sends() -> None:
    requests = [Request("GET", 404), Request("", 0), Request("POST", 200)]
    paths = ["/api/x", None, "/api/y"]
    log = made(3, requests=requests, products=paths)
    sent = made(3, products=paths, method=["GET", None, "POST"], status=["404", None, "200"], path=[None] * 3)
    for where in (
        {"path": "/api/*"},
        {"status": ">= 400"},
        {"status": "!*"},
        {"method": "!GET"},
        {"path": "/api/*", "method": ["GET", "POST"]},
    ):
        assert matching(log, **where) == matching(sent, **where) != []
    assert matching(log, agent="*") == []
    assert matching(made(2, path=["/a", None], products=["/b", "/c"]), path="/[ac]") == [0, 1]


def test_a_field_that_nobody_has_read_is_an_error_and_not_missing() -> None:
    with pytest.raises(KeyError):
        matching(made(1), status=404)
