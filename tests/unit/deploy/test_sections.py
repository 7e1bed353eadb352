from wherry.deploy.extension import parse_extension
from wherry.deploy.model import Environment, Instance
from wherry.deploy.routing import Certificate, Check, Rule
from wherry.deploy.sections import build_section, check_of, endpoints, hosts_of, with_last_addresses
from wherry.deploy.settings import Settings
from wherry.deploy.target import ObservedInstance, ObservedService

SHOP = Environment("shop", "shop", "shop.localhost", 0, revision=1)


def model(*routes, **more):
    services = {"web": {"ports": [{"target": 80}]}, "api": {"expose": ["8000", "9000"]}}
    return {"services": services, "x-wherry": {**({"routes": list(routes)} if routes else {}), **more}}


def row(number, revision=1, weight=100, draining=False):
    return Instance("shop", f"i-{number}", revision, f"v{revision}", 0, weight, draining)


def observed(*names, service="web"):
    return {
        name: ObservedInstance(
            "shop", name, "v1", (ObservedService(service, "c", "running", "", 0, 0, 0.0, f"@{name}"),)
        )
        for name in names
    }


def section(rows, extensions, seen, given=None, environment=SHOP):
    return build_section(environment, Settings(given or {}), rows, extensions, seen)


def test_checks_ask_for_the_host_of_their_route_or_of_the_environment():
    routes = ({"service": "web"}, {"service": "api", "port": 8000, "host": "api.localhost"})
    made = section([row(1)], {1: parse_extension(model(*routes))}, observed("i-1"))
    assert [(one.name, one.check.host) for one in made.pools] == [("web", "shop.localhost"), ("api", "api.localhost")]


def test_instances_with_a_weight_and_an_address_are_servers():
    rows = [row(1), row(2, weight=50, draining=True), row(3, weight=0), row(4)]
    made = section(rows, {1: parse_extension(model())}, observed("i-1", "i-2", "i-3"))
    assert made.rules == (Rule("shop.localhost", "/", "web"),)
    [pool] = made.pools
    assert [(one.instance, one.address, one.port, one.weight, one.draining) for one in pool.servers] == [
        ("i-1", "@i-1", 80, 100, False),
        ("i-2", "@i-2", 80, 50, True),
    ]


def replicas(name, *addresses, service="web"):
    services = tuple(ObservedService(service, f"c{one}", "running", "", 0, 0, 0.0, one) for one in addresses)
    return {name: ObservedInstance("shop", name, "v1", services)}


def test_replicas_of_an_instance_share_its_weight():
    rows, extension = [row(1, weight=90), row(2, weight=10)], parse_extension(model())

    def weights(*seen):
        [pool] = section(rows, {1: extension}, seen[0] | seen[1]).pools
        return [(one.instance, one.address, one.weight) for one in pool.servers]

    same = weights(replicas("i-1", "a", "b"), replicas("i-2", "c", "d"))
    assert same == [("i-1", "a", 90), ("i-1", "b", 90), ("i-2", "c", 10), ("i-2", "d", 10)]
    other = weights(replicas("i-1", "a", "b"), replicas("i-2", "c", "d", "e"))
    assert [weight for _, _, weight in other] == [256, 256, 19, 19, 19], "nine to one, as far as weights go"
    one_is_away = weights(replicas("i-1", "a", ""), replicas("i-2", "c", "d"))
    assert one_is_away == [("i-1", "a", 90), ("i-2", "c", 10), ("i-2", "d", 10)], "the other is not overloaded"


def test_a_replica_that_has_no_address_for_a_moment_keeps_its_own():
    before = section([row(1)], {1: parse_extension(model())}, replicas("i-1", "a", "b"))
    [found] = with_last_addresses(replicas("i-1", "b", ""), before).values()
    assert [one.address for one in found.services] == ["b", "a"]
    [found] = with_last_addresses(replicas("i-1", "", ""), before).values()
    assert sorted(one.address for one in found.services) == ["a", "b"]


def test_what_was_set_wins_over_what_the_project_says():
    extension = parse_extension(model(health={"path": "/well", "interval": 1}))
    assert check_of(extension.routes[0], Settings({})) == Check("/well", "200-399", 1.0, 4.0, 2, 3)
    assert check_of(extension.routes[0], Settings({"health.path": "/"})).path == "/"


def test_pools_are_named_as_services_unless_they_have_several_ports():
    extension = parse_extension(
        model(
            {"service": "web"},
            {"service": "web", "path": "/again"},
            {"service": "api", "path": "/api", "port": 8000},
            {"service": "api", "path": "/admin", "port": 9000, "host": "admin.example.org", "sticky": True},
        )
    )
    assert [one.pool for one in endpoints(extension, Settings({}))] == ["web", "api-8000", "api-9000"]
    assert hosts_of(SHOP, extension) == ["shop.localhost", "admin.example.org"]
    made = section([row(1)], {1: extension}, observed("i-1"))
    assert made.rules[3] == Rule("admin.example.org", "/admin", "api-9000")
    assert [(one.name, one.sticky) for one in made.pools] == [("web", False), ("api-8000", False), ("api-9000", True)]


def test_the_current_revision_rules_while_any_of_it_serves():
    old, new = parse_extension(model()), parse_extension(model({"service": "web", "path": "/new"}))
    both = {1: old, 2: new}
    seen = observed("i-1", "i-2")
    assert section([row(1), row(2, 2)], both, seen).rules[0].path == "/"
    assert section([row(1, draining=True), row(2, 2)], both, seen).rules[0].path == "/new"
    assert [one.instance for one in section([row(1), row(2, 2)], both, seen).pools[0].servers] == ["i-1", "i-2"]


def test_a_server_answers_on_the_port_of_its_own_revision():
    changed = model()
    changed["services"]["web"]["ports"] = [{"target": 8080}]
    made = section(
        [row(1), row(2, 2)], {1: parse_extension(model()), 2: parse_extension(changed)}, observed("i-1", "i-2")
    )
    assert [one.port for one in made.pools[0].servers] == [80, 8080]


def test_plain_requests_are_sent_to_https_only_where_there_is_a_certificate():
    rows, extensions, given = [row(1)], {1: parse_extension(model())}, Settings({"redirect": "on", "tls": "own"})
    certificate = Certificate("own", "PEM")
    for certificates in ((), (certificate,)):
        made = build_section(SHOP, given, rows, extensions, observed("i-1"), certificates)
        assert made.rules[0].secure == bool(certificates)


def test_without_a_version_there_is_nothing_but_the_maintenance():
    made = section([], {}, {}, {"maintenance": "on"}, SHOP._replace(revision=0))
    assert (made.rules, made.pools, made.maintenance) == ((), (), True)


def test_a_project_without_routes_has_no_rules():
    worker = {"services": {"worker": {}}}
    made = section([row(1)], {1: parse_extension(worker)}, observed("i-1", service="worker"))
    assert (made.rules, made.pools) == ((), ())
