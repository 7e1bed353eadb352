import pytest

SPEAKER = {"name": "Grace Hopper", "organisation": "Navy"}
VENUE = {"name": "Library", "address": "3 Abbey Gardens", "city": "Bristol", "capacity": 120}


def test_everybody_reads_and_only_organisers_write(browser, sign_up, organiser):
    attendee = sign_up("ada@example.org")
    assert browser("POST", "/speakers", SPEAKER).status_code == 401
    assert attendee("POST", "/speakers", SPEAKER).status_code == 403
    made = organiser("POST", "/speakers", SPEAKER)
    assert made.status_code == 201
    assert browser("GET", "/speakers").json["items"][0]["name"] == "Grace Hopper"
    path = f"/speakers/{made.json['id']}"
    assert attendee("PUT", path, SPEAKER).status_code == 403
    assert attendee("DELETE", path).status_code == 403


def test_a_speaker_is_edited_and_deleted(organiser):
    path = f"/speakers/{organiser('POST', '/speakers', SPEAKER).json['id']}"
    assert organiser("PUT", path, SPEAKER | {"organisation": "Yale"}).json["organisation"] == "Yale"
    assert organiser("DELETE", path).status_code == 204
    assert organiser("GET", path).status_code == 404


@pytest.mark.parametrize("words", ["grace", "HOPPER navy", "ship moored", "GRACE compilers"])
def test_search_looks_into_name_organisation_and_presentations(organiser, event, browser, words):
    grace = organiser("POST", "/speakers", SPEAKER).json["id"]
    organiser("POST", "/speakers", {"name": "Somebody Else"})
    for title in ("A ship moored", "On compilers"):
        content = {"event_id": event(), "title": title, "speaker_ids": [grace]}
        assert organiser("POST", "/presentations", content).status_code == 201
    found = browser("GET", "/speakers", query_string={"q": words}).json
    assert ([item["id"] for item in found["items"]], found["total"]) == ([grace], 1)


def test_search_takes_percent_and_underscore_as_they_are(organiser, browser):
    organiser("POST", "/speakers", SPEAKER)
    assert browser("GET", "/speakers?q=%25").json["total"] == 0
    assert browser("GET", "/speakers?q=_").json["total"] == 0


def test_lists_come_in_parts(organiser, browser):
    for name in "abc":
        organiser("POST", "/speakers", {"name": name})
    part = browser("GET", "/speakers?limit=1&offset=1").json
    assert ([item["name"] for item in part["items"]], part["total"]) == (["b"], 3)
    assert browser("GET", "/speakers?limit=0").status_code == 422


def test_a_speaker_is_shown_with_what_they_present(organiser, event, browser):
    grace = organiser("POST", "/speakers", SPEAKER).json["id"]
    organiser("POST", "/presentations", {"event_id": event(), "title": "Compilers", "speaker_ids": [grace]})
    shown = browser("GET", f"/speakers/{grace}").json["presentations"]
    assert [(item["title"], item["event"]["title"]) for item in shown] == [("Compilers", "Summit")]


def test_one_room_holds_one_thing_at_a_time(organiser, event):
    entry = {"event_id": event(), "title": "Lunch", "room": "Hall", "starts_at": "2090-05-01T12:00:00Z"}
    assert organiser("POST", "/schedule", entry | {"ends_at": "2090-05-01T13:00:00Z"}).status_code == 201
    clash = entry | {"starts_at": "2090-05-01T12:30:00Z", "ends_at": "2090-05-01T14:00:00Z"}
    answer = organiser("POST", "/schedule", clash)
    assert (answer.status_code, "room" in answer.json["error"]["message"]) == (409, True)
    assert organiser("POST", "/schedule", clash | {"room": "Garden"}).status_code == 201
    after = entry | {"starts_at": "2090-05-01T13:00:00Z", "ends_at": "2090-05-01T14:00:00Z"}
    assert organiser("POST", "/schedule", after).status_code == 201


def test_a_schedule_entry_shows_a_presentation_of_its_own_event(organiser, event):
    first, second = event(), event(title="Evening")
    talk = organiser("POST", "/presentations", {"event_id": first, "title": "Compilers"}).json["id"]
    entry = {
        "event_id": second,
        "presentation_id": talk,
        "room": "Hall",
        "starts_at": "2090-05-01T12:00:00Z",
        "ends_at": "2090-05-01T13:00:00Z",
    }
    assert list(organiser("POST", "/schedule", entry).json["error"]["fields"]) == ["presentation_id"]
    assert organiser("POST", "/schedule", entry | {"event_id": first}).status_code == 201


def test_the_schedule_of_one_event(organiser, event, browser):
    times = {"starts_at": "2090-05-01T12:00:00Z", "ends_at": "2090-05-01T13:00:00Z"}
    for title in ("Summit", "Evening"):
        number = event(title=title)
        organiser("POST", "/schedule", {"event_id": number, "title": f"{title} lunch", "room": "Hall", **times})
    items = browser("GET", f"/schedule?event={number}").json["items"]
    assert [item["title"] for item in items] == ["Evening lunch"]
    assert browser("GET", "/schedule?event=x").status_code == 422


def test_times_are_in_order_and_have_a_zone(organiser, event):
    event()
    content = {"title": "T", "summary": "S", "capacity": 1, "venue_id": 1}
    backwards = {"starts_at": "2090-05-02T09:00:00Z", "ends_at": "2090-05-01T09:00:00Z"}
    assert organiser("POST", "/events", content | backwards).status_code == 422
    without_zone = {"starts_at": "2090-05-01T09:00:00", "ends_at": "2090-05-01T10:00:00"}
    assert organiser("POST", "/events", content | without_zone).status_code == 422


def test_a_venue_with_events_stays(organiser, event):
    event()
    answer = organiser("DELETE", "/venues/1")
    assert (answer.status_code, "venue" in answer.json["error"]["message"]) == (409, True)
    free = organiser("POST", "/venues", VENUE).json["id"]
    assert organiser("DELETE", f"/venues/{free}").status_code == 204


def test_upcoming_events_leave_out_what_is_over(event, browser):
    event()
    event(title="Past", starts_at="2001-01-01T09:00:00Z", ends_at="2001-01-01T10:00:00Z")
    assert browser("GET", "/events").json["total"] == 2
    assert [item["title"] for item in browser("GET", "/events?when=upcoming").json["items"]] == ["Summit"]


def test_sponsors_come_by_tier_and_have_web_addresses(organiser, browser):
    for name, tier in (("B", "bronze"), ("S", "silver"), ("G", "gold")):
        organiser("POST", "/sponsors", {"name": name, "tier": tier, "website": "https://example.org"})
    assert [item["name"] for item in browser("GET", "/sponsors").json["items"]] == ["G", "S", "B"]
    script = organiser("POST", "/sponsors", {"name": "X", "tier": "gold", "website": "javascript:alert(1)"})
    assert list(script.json["error"]["fields"]) == ["website"]


@pytest.mark.parametrize("number", [999, 2**31, 10**30])
def test_what_is_not_there(browser, number):
    answer = browser("GET", f"/speakers/{number}")
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "not_found")
