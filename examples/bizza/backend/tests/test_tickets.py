from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError


def register(browser, event, name="Ada"):
    return browser("POST", f"/events/{event}/tickets", {"badge_name": name})


def taken(app, event):
    with app.extensions["engine"].connect() as connection:
        counted = text(
            "SELECT tickets_taken, (SELECT count(*) FROM tickets WHERE event_id = events.id) FROM events WHERE id = :id"
        )
        return tuple(connection.execute(counted, {"id": event}).one())


def test_registering_gives_a_ticket(sign_up, event, app):
    number, browser = event(), sign_up("ada@example.org")
    ticket = register(browser, number).json
    assert len(ticket["code"]) == 10
    assert ticket["event"]["tickets_taken"] == 1
    assert browser("GET", "/tickets").json["items"][0]["code"] == ticket["code"]
    assert browser("GET", "/attendee").json["attendee"]["badge_name"] == "Ada"
    assert taken(app, number) == (1, 1)


def test_a_ticket_needs_a_log_in_and_is_had_once(browser, sign_up, event, app):
    number, ada = event(), sign_up("ada@example.org")
    assert register(browser, number).status_code == 401
    assert register(ada, number).status_code == 201
    again = register(ada, number)
    assert (again.status_code, "already" in again.json["error"]["message"]) == (409, True)
    assert taken(app, number) == (1, 1), "the second try took no place"


def test_the_last_places_are_given_once_however_many_ask_at_the_same_time(sign_up, event, app):
    """Twelve attendees with connections of their own ask in the same moment for three places."""
    number = event(capacity=3)
    browsers = [sign_up(f"person{index}@example.org") for index in range(12)]
    together = Barrier(len(browsers))

    def ask(browser):
        together.wait()
        return register(browser, number)

    with ThreadPoolExecutor(len(browsers)) as pool:
        answers = list(pool.map(ask, browsers))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 9
    assert {a.json["error"]["message"] for a in answers if a.status_code == 409} == {"This event is fully booked."}
    assert taken(app, number) == (3, 3)


def test_one_person_asking_many_times_at_once_gets_one_ticket(sign_up, event, app):
    number, browser = event(capacity=10), sign_up("ada@example.org")
    register(browser, event(title="Another"))  # the badge exists: what follows meets at the ticket
    headers = {"X-CSRF-Token": browser.csrf, "Cookie": "bizza_session=" + cookie(browser)}
    together = Barrier(6)

    def ask(_):
        together.wait()
        client = app.test_client(use_cookies=False)
        return client.post(f"/api/events/{number}/tickets", json={"badge_name": "Ada"}, headers=headers).status_code

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(ask, range(6))) == [201] + [409] * 5
    assert taken(app, number) == (1, 1)


def cookie(browser):
    return browser.client.get_cookie("bizza_session", path="/api").value


def test_the_database_itself_refuses_one_too_many(event, app):
    number = event(capacity=1)
    with pytest.raises(IntegrityError, match="ck_events_tickets"), app.extensions["engine"].begin() as connection:
        connection.execute(text("UPDATE events SET tickets_taken = 2 WHERE id = :id"), {"id": number})


def test_a_ticket_given_back_is_free_again(sign_up, event, app):
    number = event(capacity=1)
    ada, bob = sign_up("ada@example.org"), sign_up("bob@example.org")
    ticket = register(ada, number).json["id"]
    assert register(bob, number, "Bob").status_code == 409
    assert bob("DELETE", f"/tickets/{ticket}").status_code == 404, "only one's own"
    assert ada("DELETE", f"/tickets/{ticket}").status_code == 204
    assert ada("DELETE", f"/tickets/{ticket}").status_code == 404
    assert register(bob, number, "Bob").status_code == 201
    assert taken(app, number) == (1, 1)


def test_an_event_that_is_over_takes_nobody(sign_up, event):
    number = event(starts_at="2001-01-01T09:00:00Z", ends_at="2001-01-01T10:00:00Z")
    assert register(sign_up("ada@example.org"), number).json["error"]["message"] == "This event is over."


def test_capacity_does_not_fall_below_what_was_given_out(organiser, sign_up, event):
    number = event(capacity=2)
    for name in ("ada", "bob"):
        register(sign_up(f"{name}@example.org"), number)
    content = organiser("GET", f"/events/{number}").json
    changed = {key: content[key] for key in ("title", "summary", "starts_at", "ends_at")}
    answer = organiser("PUT", f"/events/{number}", changed | {"capacity": 1, "venue_id": content["venue"]["id"]})
    assert (answer.status_code, "capacity" in answer.json["error"]["message"]) == (409, True)
    assert organiser("DELETE", f"/events/{number}").status_code == 409


def test_organisers_see_who_comes(organiser, sign_up, event):
    number, ada = event(), sign_up("ada@example.org")
    register(ada, number)
    assert [t["attendee"]["badge_name"] for t in organiser("GET", f"/events/{number}/tickets").json["items"]] == ["Ada"]
    assert ada("GET", f"/events/{number}/tickets").status_code == 403
