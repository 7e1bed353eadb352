import pytest

from wherry.base.errors import InvalidInput
from wherry.deploy.extension import ReleaseStep, Route, parse_extension

WEB = {"ports": [{"target": 80, "published": "8080", "protocol": "tcp"}]}
API = {"expose": ["9000/tcp"]}
DB = {"volumes": [{"type": "volume", "source": "data", "target": "/var/lib"}], "ports": [{"target": 5432}]}


def parsed(said=None, **services):
    model = {"services": services or {"web": WEB, "db": DB}}
    return parse_extension(model if said is None else {**model, "x-wherry": said})


def test_without_a_word_the_published_port_is_the_route_and_data_is_an_accessory():
    found = parsed()
    assert found.routes == (Route("web", 80),)
    assert (found.accessories, found.stateless, found.release) == (("db",), ("web",), None)


def test_a_project_that_publishes_nothing_has_no_routes():
    assert parsed(worker={}).routes == ()


def test_an_anonymous_volume_keeps_no_data():
    assert parsed(web={"volumes": [{"type": "volume", "target": "/tmp"}]}).stateless == ("web",)


def test_accessories_are_what_is_said():
    services = {"web": WEB, "db": DB, "cache": {}}
    assert parsed({"accessories": ["cache"]}, **services).accessories == ("cache", "db")
    assert parsed({"accessories": {"db": False}, "routes": ["x"][:0]}, **services).accessories == ()


def test_routes_as_a_list_and_as_a_mapping():
    services = {"web": WEB, "api": API}
    listed = parsed({"routes": [{"service": "web"}, {"service": "api", "path": "/api", "sticky": True}]}, **services)
    mapped = parsed({"routes": {"web": None, "api": {"path": "/api", "sticky": True}}}, **services)
    assert listed == mapped
    assert listed.routes == (Route("web", 80), Route("api", 9000, "/api", sticky=True))
    assert parsed({"routes": {"web": 81, "api": "/api"}}, **services).routes[0].port == 81


def test_health_of_all_and_of_one():
    said = {"health": {"path": "/up", "interval": "2s"}, "routes": [{"service": "web", "health": "/well"}]}
    assert parsed(said).routes[0].health == {"path": "/well", "interval": 2.0}


def test_the_release_step():
    assert parsed({"release": "./migrate now"}).release == ReleaseStep("web", ("/bin/sh", "-c", "./migrate now"))
    said = {"release": {"command": ["migrate", 1], "service": "db", "timeout": 5}}
    assert parsed(said).release == ReleaseStep("db", ("migrate", "1"), 5.0)


@pytest.mark.parametrize(
    ("said", "services", "words"),
    [
        ({"route": {}}, {}, "x-wherry.route is not known"),
        ([], {"web": WEB, "api": WEB}, "several services publish ports (api, web)"),
        ({}, {"web": {"ports": [{"target": 1}, {"target": 2}]}}, "several ports (1, 2)"),
        ({"routes": [{"service": "webb"}]}, {}, "x-wherry.routes[0].service: there is no service webb"),
        ({"routes": [{}]}, {}, "x-wherry.routes[0].service is missing"),
        ({"routes": [{"service": "db"}]}, {}, "db is an accessory"),
        ({"routes": {"web": {"path": "x"}}}, {}, "x-wherry.routes.web.path must"),
        ({"routes": {"web": {"port": 70000}}}, {}, "x-wherry.routes.web.port must"),
        ({"routes": {"web": {"host": "a b"}}}, {}, "x-wherry.routes.web.host must"),
        ({"routes": {"web": {"sticky": 1}}}, {}, "x-wherry.routes.web.sticky must"),
        (
            {"routes": {"worker": {}}},
            {"worker": {}},
            "x-wherry.routes.worker.port is missing, and service worker has no",
        ),
        ({"routes": [{"service": "web"}, {"service": "web"}]}, {}, "x-wherry.routes: / is routed twice"),
        ({"routes": 3}, {}, "x-wherry.routes must be"),
        ({"health": {"interval": "soon"}}, {}, "x-wherry.health.interval: 0.1 to 300 seconds"),
        ({"health": {"pth": "/"}}, {}, "x-wherry.health.pth is not known"),
        ({"release": {}}, {}, "x-wherry.release.command must be"),
        ({"release": {"command": "x", "service": "y"}}, {}, "x-wherry.release.service: there is no service y"),
        ({"release": {"command": "x", "timeout": True}}, {}, "x-wherry.release.timeout must"),
        ({"release": "x"}, {"a": {}, "b": {}}, "x-wherry.release.service is missing: there are a, b"),
        ({"accessories": ["nodb"]}, {}, "x-wherry.accessories.nodb: there is no such service"),
        ({"accessories": {"db": 1}}, {}, "x-wherry.accessories.db must be true or false"),
        ({"accessories": ["web"]}, {}, "no stateless service"),
        ({"accessories": 1}, {}, "x-wherry.accessories must be"),
        ("text", {}, "x-wherry must be a mapping"),
    ],
)
def test_mistakes_name_their_key(said, services, words):
    with pytest.raises(InvalidInput, match=r".") as caught:
        parsed(said, **services)
    assert words in caught.value.message
