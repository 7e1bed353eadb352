from wherry.deploy.haproxy.difference import Command, Replacement, difference, pieces
from wherry.deploy.haproxy.observed import MapEntry, Observed, ObservedServer
from wherry.deploy.haproxy.wanted import MAPS, Wanted, WantedServer

C = "/balancer/configuration/current"


def nothing():
    return Observed({}, {name: [] for name in MAPS}, [f"{C}/default.pem"])


def wish(servers=(), certificates=(), **maps):
    return Wanted(dict(servers), {**{name: {} for name in MAPS}, **maps}, dict(certificates))


def texts(steps):
    return [step.text if isinstance(step, Command) else step for step in steps]


def test_new_things_are_there_before_the_rules_that_lead_to_them():
    wanted = wish(
        {"s1": {"e:i-1:x": WantedServer("10.0.0.2:80 check inter 1000 rise 2 fall 3", 100)}},
        {"e.own.x.pem": "KEY\nCERTIFICATE\n"},
        hosts={"e.localhost": "e:1"},
        routes={"e:1/": "s1:web:0", "e:1/api": "s1:web:0"},
        checks={"s1": "/up"},
        codes={"s1/2": "healthy"},
    )
    path = f"{C}/e.own.x.pem"
    assert texts(difference(nothing(), wanted, tls=True)) == [
        f"abort ssl cert {path}",
        f"del ssl cert {path}",
        f"new ssl cert {path}",
        f"set ssl cert {path} <<\nKEY\nCERTIFICATE\n",
        f"commit ssl cert {path}",
        f"add ssl crt-list {C}/certificates.list {path}",
        f"add map {C}/checks.map <<\ns1 /up\n",
        f"add map {C}/codes.map <<\ns1/2 healthy\n",
        "add server s1/e:i-1:x 10.0.0.2:80 check inter 1000 rise 2 fall 3 weight 100",
        "enable health s1/e:i-1:x",
        "set server s1/e:i-1:x state ready",
        "set server s1/e:i-1:x health up",
        f"add map {C}/routes.map <<\ne:1/ s1:web:0\ne:1/api s1:web:0\n",
        Replacement(f"{C}/hosts.map", {"e.localhost": "e:1"}),
    ]


def test_nothing_is_done_where_all_is_as_wanted():
    observed = Observed(
        {"s1": {"a": ObservedServer(5, True, False)}},
        {**nothing().maps, "hosts": [MapEntry("0x1", "h", "e:1")], "routes": [MapEntry("0x2", "e:1/", "s1:w:0")]},
        [f"{C}/default.pem", f"{C}/c.pem"],
    )
    wanted = wish({"s1": {"a": WantedServer("…", 5)}}, {"c.pem": "PEM"}, hosts={"h": "e:1"}, routes={"e:1/": "s1:w:0"})
    assert difference(observed, wanted, tls=True) == []


def test_weights_are_raised_before_they_are_lowered_and_sticky_entries_go_first():
    observed = nothing()._replace(
        servers={"t1": {"old": ObservedServer(100, True, False), "new": ObservedServer(1, True, False)}}
    )
    observed.maps["sticky"] = [MapEntry("0x9", "t1/i-1", "old")]
    wanted = wish({"t1": {"old": WantedServer("…", 0), "new": WantedServer("…", 100)}})
    assert texts(difference(observed, wanted, tls=False)) == [
        "set server t1/new weight 100",
        f"del map {C}/sticky.map #0x9",
        "set server t1/old weight 0",
    ]


def test_a_server_that_somebody_took_out_is_put_back():
    observed = nothing()._replace(servers={"s1": {"a": ObservedServer(5, False, True)}})
    assert texts(difference(observed, wish({"s1": {"a": WantedServer("…", 5)}}), tls=False)) == [
        "enable health s1/a",
        "set server s1/a state ready",
        "set server s1/a health up",
    ]


def test_what_is_not_wanted_gets_nothing_new_and_is_deleted_when_it_can_be():
    observed = nothing()._replace(
        servers={"s1": {"a": ObservedServer(5, True, False), "b": ObservedServer(5, False, True)}}
    )
    assert difference(observed, wish(), tls=False) == [
        Command("set server s1/a state maint"),
        Command("del server s1/a", optional=True),
        Command("del server s1/b", optional=True),
    ]


def test_rules_that_held_until_now_stay_for_requests_that_are_between_the_maps():
    observed = nothing()
    observed.maps["hosts"] = [MapEntry("0x1", "h", "e:2")]
    observed.maps["routes"] = [MapEntry("0x2", "e:1/", "s1:w:0"), MapEntry("0x3", "e:2/", "s2:w:0")]
    wanted = wish(hosts={"h": "e:3"}, routes={"e:3/": "s3:w:0"})
    assert texts(difference(observed, wanted, tls=False)) == [
        f"add map {C}/routes.map <<\ne:3/ s3:w:0\n",
        Replacement(f"{C}/hosts.map", {"h": "e:3"}),
        f"del map {C}/routes.map #0x2",
    ]


def test_a_changed_value_is_escaped_for_the_command_line():
    observed = nothing()
    observed.maps["checks"] = [MapEntry("0x1", "s1", "/")]
    assert texts(difference(observed, wish(checks={"s1": "/a;b\\c"}), tls=False)) == [
        f"set map {C}/checks.map #0x1 /a\\;b\\\\c"
    ]


def test_certificates_that_are_not_wanted_go_last():
    observed = nothing()._replace(certificates=[f"{C}/default.pem", f"{C}/old.pem"])
    assert texts(difference(observed, wish(), tls=True)) == [
        f"del ssl crt-list {C}/certificates.list {C}/old.pem",
        f"del ssl cert {C}/old.pem",
    ]
    assert difference(observed, wish(), tls=False) == []


def test_payloads_fit_into_a_buffer():
    lines = ["x" * 100] * 300
    made = list(pieces(lines))
    assert "".join(made).split() == lines
    assert max(map(len, made)) <= 8192 + 101
