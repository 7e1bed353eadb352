"""Who may use the console, with a clock of one's own."""

import pytest

from wherry.base.errors import Conflict, InvalidInput, NotFound
from wherry.serve.people import People, may
from wherry.store.database import Database

HOUR = 3600 * 1_000_000_000


class Clock:
    now = 1_800_000_000_000_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def people(tmp_path, clock):
    made = People(Database(f"{tmp_path}/db"), clock)
    made.add("ana", "correct horse", "operator")
    return made


def test_a_session_needs_the_right_password_and_says_who_it_is(people):
    assert people.log_in("ana", "wrong horse") == ""
    assert people.log_in("bob", "correct horse") == ""
    token = people.log_in("ana", "correct horse")
    session = people.session(token)
    assert (session.person.name, session.person.role) == ("ana", "operator")
    assert may(session.person, "viewer")
    assert may(session.person, "operator")
    assert not may(session.person, "admin")
    assert people.session(token + "x") is None


def test_the_database_holds_neither_passwords_nor_tokens(people, tmp_path):
    token = people.log_in("ana", "correct horse")
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"correct horse" not in content
    assert token.encode() not in content


@pytest.mark.parametrize(("steps", "lives"), [((1.9, 1.9, 1.9), True), ((2.1,), False), ((1.9,) * 7, False)])
def test_a_session_ends_when_it_is_old_or_idle(people, clock, steps, lives):
    token = people.log_in("ana", "correct horse")
    for hours in steps:
        clock.now += int(hours * HOUR)
        session = people.session(token)
    assert (session is not None) is lives


@pytest.mark.parametrize("change", [{"password": "another one"}, {"role": "admin"}])
def test_a_changed_person_has_to_log_in_again(people, change):
    token = people.log_in("ana", "correct horse")
    people.change("ana", **change)
    assert people.session(token) is None


def test_who_is_removed_or_has_logged_out_has_no_session(people):
    token = people.log_in("ana", "correct horse")
    people.log_out(token)
    assert people.session(token) is None
    token = people.log_in("ana", "correct horse")
    people.remove("ana")
    assert people.session(token) is None
    assert people.all() == []
    with pytest.raises(NotFound):
        people.change("ana", role="admin")


def test_bad_names_passwords_and_roles_are_refused(people):
    for name, password, role in (("", "long enough", "admin"), ("x", "short", "admin"), ("x", "long enough", "king")):
        with pytest.raises(InvalidInput):
            people.add(name, password, role)
    with pytest.raises(Conflict):
        people.add("ana", "long enough", "viewer")


def test_what_people_did_is_kept_the_newest_first(people):
    people.note("ana", "127.0.0.1", "rollback", "shop")
    people.note("ana", "127.0.0.1", "terminate", "shop", "not allowed")
    assert [(one.action, one.result) for one in people.entries()] == [
        ("terminate", "not allowed"),
        ("rollback", "done"),
    ]
