from wherry.deploy.balancer import Listener
from wherry.deploy.haproxy.applied import Applied, merge
from wherry.deploy.haproxy.configuration import Setting, files, shape
from wherry.deploy.haproxy.wanted import wanted
from wherry.deploy.routing import Certificate, Pool, Rule, Section, Server

PLAIN = Setting(Listener("", 80, 0), ipv6=False)
TLS = Setting(Listener("", 80, 8443), ipv6=True, default_certificate="DEFAULT\n")
PEM = "-----BEGIN PRIVATE KEY-----\nAA\n-----BEGIN CERTIFICATE-----\nBB\n"
SHOP = Section(
    "shop",
    (Rule("shop.localhost", "/", "web"),),
    (Pool("web", (Server("i-1", "10.0.0.2", 80, 7),)),),
    (Certificate("own", PEM),),
)
APPLIED = merge(Applied(), [SHOP])


def lines(text, beginning):
    return [line for line in text.splitlines() if line.startswith(beginning)]


def test_where_it_listens():
    assert lines(files(Applied(), PLAIN)["haproxy.cfg"], "  bind") == ["  bind *:80"]
    tls = " ssl crt-list /balancer/configuration/current/certificates.list alpn h2,http/1.1"
    assert lines(files(Applied(), TLS)["haproxy.cfg"], "  bind") == [
        "  bind *:80",
        f"  bind *:8443{tls}",
        "  bind [::]:80 v6only",
        f"  bind [::]:8443 v6only{tls}",
    ]
    one = PLAIN._replace(listener=Listener("::1", 8080))
    assert lines(files(Applied(), one)["haproxy.cfg"], "  bind") == ["  bind [::1]:8080"]


def test_the_redirect_to_https_is_there_only_with_https_and_names_its_port():
    assert "code 308" not in files(Applied(), PLAIN)["haproxy.cfg"]
    (line,) = lines(files(Applied(), TLS)["haproxy.cfg"], "  http-request redirect")
    assert line == (
        '  http-request redirect code 308 location "https://%[req.hdr(host),host_only,lower,rtrim(.)]:8443%[pathq]"'
        " if { var(txn.route),field(3,:) -m str 1 } !{ ssl_fc }"
    )
    standard = TLS._replace(listener=Listener("", 80, 443))
    assert '"https://%[req.hdr(host),host_only,lower,rtrim(.)]%[pathq]"' in files(Applied(), standard)["haproxy.cfg"]


def test_how_a_client_came_is_found_out_only_where_there_are_two_ways():
    def told(listener):
        text = files(Applied(), TLS._replace(listener=listener))["haproxy.cfg"]
        return [
            line.split()[-1]
            for name in ("Proto", "Port")
            for line in lines(text, f"  http-request set-header X-Forwarded-{name}")
        ]

    assert told(Listener("", 8080, 0)) == ["http", "8080"]
    assert told(Listener("", 0, 8443)) == ["https", "8443"]
    assert told(Listener("", 80, 443)) == ["%[ssl_fc,iif(https,http)]", "%[dst_port]"]


def test_what_was_applied_is_in_the_files():
    made = files(APPLIED, TLS)
    (name,) = wanted(APPLIED).servers["s1"]
    pool = "pool-max-conn 1000 pool-purge-delay 5000"
    assert f"  server {name} 10.0.0.2:80 check inter 5000 rise 2 fall 3 {pool} weight 7\n" in made["haproxy.cfg"]
    rules = wanted(APPLIED).maps["hosts"]["shop.localhost"]
    assert made["hosts.map"] == f"shop.localhost {rules}\n"
    assert made["routes.map"] == f"{rules}/ s1:web:0\n"
    assert made["checks.map"] == "s1 /\n"
    assert made["codes.map"] == "s1/2 healthy\ns1/3 healthy\n"
    (certificate,) = wanted(APPLIED).certificates
    assert made[certificate] == PEM
    assert made["default.pem"] == "DEFAULT\n"
    assert made["certificates.list"] == (
        f"/balancer/configuration/current/default.pem\n/balancer/configuration/current/{certificate}\n"
    )


def test_without_https_no_key_is_written():
    assert not any("PRIVATE KEY" in text for text in files(APPLIED, PLAIN).values())


def test_only_sticky_slots_look_at_cookies():
    backends = files(Applied(), PLAIN)["haproxy.cfg"].split("\nbackend ")[1:]
    assert {backend.split()[0][0] for backend in backends if "req.cook" in backend} == {"t"}
    assert len(backends) == 1 + 96 + 32


def test_the_shape_is_what_only_a_restart_changes():
    assert shape(PLAIN) == shape(PLAIN)
    assert shape(TLS) == shape(TLS._replace(default_certificate="ANOTHER\n"))
    assert len({shape(PLAIN), shape(TLS), shape(PLAIN._replace(ipv6=True))}) == 3
