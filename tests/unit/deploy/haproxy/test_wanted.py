from wherry.deploy.haproxy.applied import Applied, merge
from wherry.deploy.haproxy.wanted import cookie, server_name, wanted
from wherry.deploy.routing import Certificate, Check, Pool, Rule, Section, Server

CHECK = Check("/up", "200-299,401", 1.5, 4, 2, 3, "shop.localhost")
PEM = "-----BEGIN PRIVATE KEY-----\n\nAA\n-----END PRIVATE KEY-----\r\n-----BEGIN CERTIFICATE-----\nBB\n"
SHOP = Section(
    "shop",
    (Rule("shop.localhost", "/", "web"), Rule("shop.localhost", "/api", "api", secure=True)),
    (
        Pool(
            "web", (Server("i-1", "10.0.0.2", 80), Server("i-2", "10.0.0.3", 80, 50, draining=True)), CHECK, sticky=True
        ),
        Pool("api", (Server("i-1", "fd00::2", 8000, 10),)),
    ),
    (Certificate("own", PEM),),
)


def state(section=SHOP):
    return wanted(merge(Applied(), [section]))


def test_servers_and_maps():
    made = state()
    names = [server_name("shop", server, CHECK) for server in SHOP.pools[0].servers]
    assert [name.split(":")[:2] for name in names] == [["shop", "i-1"], ["shop", "i-2"]]
    assert made.servers["t1"] == {
        names[0]: ("10.0.0.2:80 check inter 1500 rise 2 fall 3 pool-max-conn 1000 pool-purge-delay 5000", 100),
        names[1]: ("10.0.0.3:80 check inter 1500 rise 2 fall 3 pool-max-conn 1000 pool-purge-delay 5000", 0),
    }
    assert list(made.servers["s2"].values()) == [
        ("[fd00::2]:8000 check inter 5000 rise 2 fall 3 pool-max-conn 1000 pool-purge-delay 5000", 10)
    ]
    rules = made.maps["hosts"]["shop.localhost"]
    assert rules.startswith("shop:")
    assert made.maps == {
        "hosts": {"shop.localhost": rules},
        "routes": {f"{rules}/": "t1:web:0", f"{rules}/api": "s2:api:1"},
        "checks": {"t1": "/up", "s2": "/"},
        "check-hosts": {"t1": "shop.localhost"},
        "codes": {"t1/2": "healthy", "t1/401": "healthy", "s2/2": "healthy", "s2/3": "healthy"},
        "sticky": {f"t1/{cookie(SHOP.pools[0].servers[0])}": names[0]},
        "challenges": {},
    }
    asked = state(SHOP._replace(challenges=(("a-B_9", "a-B_9.x-Y_0"),)))
    assert asked.maps["challenges"] == {"/.well-known/acme-challenge/a-B_9": "a-B_9.x-Y_0"}


def test_other_rules_have_another_name_and_the_same_rules_the_same():
    rules = state().maps["hosts"]["shop.localhost"]
    assert state(SHOP._replace(certificates=())).maps["hosts"]["shop.localhost"] == rules
    assert state(SHOP._replace(rules=SHOP.rules[:1])).maps["hosts"]["shop.localhost"] != rules


def test_replicas_of_an_instance_are_servers_of_their_own_and_stick_by_themselves():
    servers = Server("i-1", "10.0.0.2", 80), Server("i-1", "10.0.0.3", 80)
    made = state(Section("shop", (), (Pool("web", servers, CHECK, sticky=True),)))
    names = list(made.servers["t1"])
    assert [name.split(":")[:2] for name in names] == [["shop", "i-1"]] * 2
    assert made.maps["sticky"] == {f"t1/{cookie(one)}": name for one, name in zip(servers, names, strict=True)}
    other = servers[0]._replace(weight=5), CHECK._replace(interval=9)
    assert server_name("shop", *other).startswith(f"shop:{cookie(servers[0])}:"), "a client sticks whatever the check"


def test_what_cannot_be_changed_of_a_server_makes_it_another():
    server = Server("i-1", "10.0.0.2", 80)
    name = server_name("shop", server, CHECK)
    for same in (server._replace(weight=3), server._replace(draining=True)):
        assert server_name("shop", same, CHECK) == name
    for other in (server._replace(port=81), server._replace(address="10.0.0.9")):
        assert server_name("shop", other, CHECK) != name
    assert server_name("shop", server, CHECK._replace(path="/else", codes="204")) == name
    assert server_name("shop", server, CHECK._replace(interval=2)) != name


def test_in_maintenance_every_path_leads_to_the_page():
    made = state(SHOP._replace(maintenance=True))
    rules = made.maps["hosts"]["shop.localhost"]
    assert made.maps["routes"] == {f"{rules}/": "maintenance::1"}
    assert made.servers == state().servers


def test_a_certificate_is_named_for_what_it_holds_and_has_no_empty_lines():
    ((name, pem),) = state().certificates.items()
    assert name.startswith("shop.own.")
    assert pem == PEM.replace("\n\n", "\n").replace("\r\n", "\n")
    other = SHOP._replace(certificates=(Certificate("own", PEM.replace("BB", "CC")),))
    assert name not in state(other).certificates
