from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from bizza.security import COOKIE, csrf_for

ADA = {"name": "Ada", "email": "Ada@Example.org", "password": "a long password"}


def test_sign_up_logs_in_and_hides_the_password(app, browser):
    answer = browser("POST", "/users", ADA)
    assert answer.status_code == 201
    assert answer.json["user"] == {"id": 1, "name": "Ada", "email": "ada@example.org", "role": "attendee"}
    assert browser("GET", "/session").json["user"]["name"] == "Ada"
    with app.extensions["engine"].connect() as connection:
        stored = connection.execute(text("SELECT password_hash FROM users")).scalar_one()
    assert stored.startswith("$argon2id$")


def test_the_cookie_is_out_of_reach_of_scripts_and_the_database_does_not_know_it(app, browser):
    header = browser("POST", "/users", ADA).headers["Set-Cookie"]
    assert "HttpOnly" in header
    assert "SameSite=Lax" in header
    token = browser.client.get_cookie(COOKIE, path="/api").value
    with app.extensions["engine"].connect() as connection:
        assert token.encode() not in connection.execute(text("SELECT token_hash FROM log_ins")).scalar_one()
    assert browser.csrf == csrf_for(token)


def test_an_address_signs_up_once_in_whatever_case(browser, browsers):
    browser("POST", "/users", ADA)
    answer = browsers()("POST", "/users", ADA | {"email": "ADA@EXAMPLE.ORG"})
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "conflict")
    assert "already" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "nonsense"}, "email"),
        ({"password": "short"}, "password"),
        ({"name": " "}, "name"),
        ({"role": "organiser"}, "role"),
        ({"name": 7}, "name"),
    ],
)
def test_what_is_wrong_is_said_field_by_field(browser, change, field):
    answer = browser("POST", "/users", ADA | change)
    assert answer.status_code == 422
    assert list(answer.json["error"]["fields"]) == [field]


def test_log_in_and_out(browser, browsers):
    browser("POST", "/users", ADA)
    other = browsers()
    assert other("POST", "/session", {"email": "ada@example.org", "password": "a long password"}).status_code == 200
    assert other("DELETE", "/session").status_code == 204
    assert other("GET", "/session").json == {"user": None, "csrf": None}
    assert browser("GET", "/session").json["user"]["name"] == "Ada", "the other session goes on"


@pytest.mark.parametrize("email", ["ada@example.org", "nobody@example.org"])
def test_a_wrong_log_in_does_not_tell_what_was_wrong(browser, browsers, email):
    browser("POST", "/users", ADA)
    answer = browsers()("POST", "/session", {"email": email, "password": "not the password"})
    assert answer.status_code == 401
    assert answer.json["error"]["message"] == "The e-mail address or the password is not right."


def test_a_session_ends_by_itself(app, sign_up):
    browser = sign_up("ada@example.org")
    with app.extensions["engine"].begin() as connection:
        connection.execute(text("UPDATE log_ins SET expires_at = :t"), {"t": datetime.now(UTC) - timedelta(seconds=1)})
    assert browser("GET", "/session").json["user"] is None
    assert browser("GET", "/tickets").status_code == 401


def test_a_request_of_another_site_is_refused(sign_up, event):
    number = event()
    browser = sign_up("ada@example.org")
    path, badge = f"/api/events/{number}/tickets", {"badge_name": "Ada"}
    without = browser.client.post(path, json=badge)
    foreign = browser.client.post(
        path, json=badge, headers={"X-CSRF-Token": browser.csrf, "Origin": "https://elsewhere.example"}
    )
    form = browser.client.post(path, data=badge, headers={"X-CSRF-Token": browser.csrf})
    assert [answer.status_code for answer in (without, foreign, form)] == [403, 403, 403]
    own = browser.client.post(path, json=badge, headers={"X-CSRF-Token": browser.csrf, "Origin": "http://localhost"})
    assert own.status_code == 201


def test_logging_in_by_a_foreign_form_is_refused(browser):
    assert browser.client.post("/api/session", data={"email": "a", "password": "b"}).status_code == 403
