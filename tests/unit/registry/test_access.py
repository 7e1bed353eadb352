"""Patterns, throttling, tokens and the cache of what was right, without a server."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_server import basic
from wherry.base.errors import Conflict, InvalidInput
from wherry.registry.access import _pattern
from wherry.registry.accounts import check_pattern, parse_actions
from wherry.registry.throttle import Throttle
from wherry.registry.tokens import Scope, Tokens, parse_scopes

SECRET = "s" * 64


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("team/app", ["team/app"], ["team/app2", "team/app/x", "xteam/app"]),
        ("team/*", ["team/app"], ["team", "team/a/b", "team2/a"]),
        ("team/**", ["team/app", "team/a/b"], ["team", "teams/a"]),
        ("**", ["a", "a/b/c"], []),
        ("*/app", ["a/app"], ["app", "a/b/app"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_patterns(pattern, fits, fits_not):
    compiled = _pattern(check_pattern(pattern))
    assert [each for each in fits if not compiled.fullmatch(each)] == []
    assert [each for each in fits_not if compiled.fullmatch(each)] == []


@pytest.mark.parametrize("pattern", ["", "/x", "A", "a b", "a\n", "a" * 300])
def test_what_is_no_pattern(pattern):
    with pytest.raises(InvalidInput):
        check_pattern(pattern)


def test_actions():
    assert parse_actions("pull, push") == ("pull", "push")
    for text in ("", ",", "fly", "pull,fly"):
        with pytest.raises(InvalidInput):
            parse_actions(text)


def test_a_throttle_delays_then_refuses_then_forgets():
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    delays = []
    for _ in range(10):
        assert throttle.wait("a") == 0
        throttle.failed("a")
        delays.append(throttle.delay("a"))
    assert delays[:3] == [0, 0, 0]
    assert delays[3:] == sorted(delays[3:])
    assert delays[-1] == 4
    assert throttle.wait("a") == 60
    assert throttle.wait("b") == 0
    now[0] = 61
    assert throttle.wait("a") == 0
    throttle.failed("a")
    assert throttle.wait("a") == 60
    now[0] = 400
    assert throttle.wait("a") == throttle.delay("a") == 0


def test_a_throttle_does_not_grow_without_end():
    throttle = Throttle(lambda: 0.0)
    for number in range(25_000):
        throttle.failed(str(number))
    assert len(throttle._failures) <= 10_000


def test_tokens_are_for_one_use():
    import time

    now = int(time.time())
    tokens, others = Tokens(SECRET, "wherry"), Tokens("x" * 64, "wherry")
    scope = Scope("repository", "a", ("pull", "push"))
    bearer = tokens.issue("ana", "user", [(scope, ("pull",))], now, 300)
    password, refresh = tokens.issue_password("AKIA", now, 300), tokens.issue_refresh("ana", "fp", now, 300)
    found = tokens.bearer(bearer, now)
    assert (found.subject, found.granted, found.asked) == ("ana", {"a": {"pull"}}, {"a": {"pull", "push"}})
    assert tokens.bearer(bearer, now + 301) is None
    assert tokens.password(password) == "AKIA"
    assert tokens.refresh(refresh) == ("ana", "fp")
    assert ":" not in password
    for text in (password, refresh, "", "a.b.c", bearer[:-2], bearer + "x"):
        assert tokens.bearer(text, now) is None
    assert tokens.password(bearer) is tokens.password(refresh) is tokens.refresh(bearer) is None
    assert others.bearer(bearer, now) is None
    assert Tokens(SECRET, "other").bearer(bearer, now) is None
    expired = tokens.issue_password("AKIA", now - 1000, 300)
    assert tokens.password(expired) is None
    head, body, _ = bearer.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    assert tokens.bearer(f"{unsigned}.{body}.", now) is None
    assert head


def test_scopes():
    assert parse_scopes(["repository:a/b:pull,push registry:catalog:*"]) == [
        Scope("repository", "a/b", ("pull", "push")),
        Scope("registry", "catalog", ("*",)),
    ]
    assert parse_scopes(["repository:host:5000/a:pull"]) == [Scope("repository", "host:5000/a", ("pull",))]
    assert parse_scopes(["repository(plugin):a:pull"])[0].kind == "repository"
    assert parse_scopes(["", "x", "a:b", "::"]) == []


@given(st.lists(st.text(max_size=30), max_size=100))
def test_any_scope_is_taken_or_left(texts):
    assert len(parse_scopes(texts)) <= 64


def test_a_password_is_believed_for_a_minute_and_no_longer(make_registry, monkeypatch):
    from wherry.registry import access

    registry = make_registry(open=False)
    registry.accounts.add_user("ana", "secret", registry.now)
    calls, real = [], access.verify_password
    monkeypatch.setattr(access, "verify_password", lambda *given: calls.append(1) or real(*given))
    for _ in range(3):
        assert registry("GET", "/v2/", headers=basic("ana", "secret")).status == 200
    assert len(calls) == 1
    registry.now += 61 * 1_000_000_000
    assert registry("GET", "/v2/", headers=basic("ana", "secret")).status == 200
    assert len(calls) == 2
    assert registry("GET", "/v2/", headers=basic("ana", "other")).status == 401
    assert registry("GET", "/v2/", headers=basic("nobody", "other")).status == 401
    assert len(calls) == 4  # a name that nobody has costs the same


def test_users_and_robots_share_their_names(make_registry):
    registry = make_registry(open=False)
    registry.accounts.add_user("ana", "secret", 0)
    with pytest.raises(Conflict):
        registry.accounts.create_robot("ana", 0, 0)
    with pytest.raises(Conflict):
        registry.accounts.add_user("ana", "x", 0)
    for name in ("AWS", "aws", "anonymous", "*", "", "a b", "../x"):
        with pytest.raises(InvalidInput):
            registry.accounts.add_user(name, "x", 0)


def test_metrics_are_for_this_machine_or_an_administrator(make_registry):
    registry = make_registry(open=False)
    registry.accounts.add_user("ana", "secret", 0)
    assert registry("GET", "/metrics").status == 401  # the test's client is not of this machine
    assert registry("GET", "/metrics", headers=basic("ana", "secret")).status == 403
    registry.accounts.grant("ana", "**", ("admin",))
    assert registry("GET", "/metrics", headers=basic("ana", "secret")).status == 200
