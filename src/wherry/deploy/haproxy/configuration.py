"""HAProxy's configuration and the files it names, as texts. Pure.

The configuration holds the applied state as well as what the runtime socket would say: an HAProxy that starts with it
needs nothing else.
"""

from __future__ import annotations

from hashlib import sha256

from wherry.base.values import NamedTuple
from wherry.deploy.haproxy.applied import PLAIN_SLOTS, STICKY_SLOTS, Applied
from wherry.deploy.haproxy.pages import HOST, MAINTENANCE, NO_SERVER, NOT_FOUND
from wherry.deploy.haproxy.wanted import CHALLENGES, Wanted, wanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.deploy.balancer import Listener

__all__ = ["CERTIFICATES", "FILES", "LIVE", "Setting", "certificate_path", "files", "map_path", "shape"]

FILES = "/balancer/configuration/current"
LIVE = "/balancer/live"
CERTIFICATES = f"{FILES}/certificates.list"
_LOG_BYTES = 16 << 20
_DESCRIPTORS = 50_000  # HAProxy's tables are as large as there may be connections: two for each


class Setting(NamedTuple):
    """What only a restart changes. `default_certificate` is PEM, needed where there is https."""

    listener: Listener
    ipv6: bool
    default_certificate: str = ""


def map_path(name: str) -> str:
    """The name of a map in the configuration and on the socket."""
    return f"{FILES}/{name}.map"


def certificate_path(name: str) -> str:
    """The name of a certificate on the socket."""
    return f"{FILES}/{name}"


def shape(setting: Setting) -> str:
    """Names everything that only a restart changes."""
    plain = files(Applied(), setting._replace(default_certificate=""))
    return sha256("\0".join(f"{name}\0{text}" for name, text in sorted(plain.items())).encode()).hexdigest()[:16]


def files(applied: Applied, setting: Setting) -> dict[str, str]:
    """Name to text of everything in the directory that HAProxy starts with."""
    state = wanted(applied)
    texts = {f"{name}.map": _map_text(entries) for name, entries in state.maps.items()}
    if setting.listener.https:
        texts |= {"default.pem": setting.default_certificate, **state.certificates}
        names = ["default.pem", *state.certificates]
        texts["certificates.list"] = "".join(f"{certificate_path(name)}\n" for name in names)
    return {
        **texts,
        "haproxy.cfg": _configuration(state, setting),
        "not-found.html": NOT_FOUND,
        "maintenance.html": MAINTENANCE,
        "no-server.http": NO_SERVER,
    }


def _map_text(entries: dict[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in entries.items())


def _configuration(state: Wanted, setting: Setting) -> str:
    slots = [f"s{number}" for number in range(1, PLAIN_SLOTS + 1)]
    slots += [f"t{number}" for number in range(1, STICKY_SLOTS + 1)]
    backends = "".join(_backend(slot, state) for slot in slots)
    return _HEAD.format(live=LIVE, files=FILES, descriptors=_DESCRIPTORS, log=_LOG_BYTES) + (
        _frontend(setting) + _MAINTENANCE.format(files=FILES) + backends
    )


_HEAD = """\
global
  user haproxy
  group haproxy
  fd-hard-limit {descriptors}
  stats socket {live}/admin.sock mode 600 level admin
  stats timeout 1h
  hard-stop-after 10m
  ssl-default-bind-options ssl-min-ver TLSv1.2
  log ring@access len 4096 format raw local0

ring access
  format raw
  maxlen 4096
  size {log}

defaults
  mode http
  log global
  option dontlognull
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response
  timeout connect 2s
  timeout http-request 30s
  timeout http-keep-alive 75s
  timeout client 10m
  timeout server 1h
  timeout tunnel 1h
  errorfile 503 {files}/no-server.http

"""

_FRONTEND = """\
frontend web
{binds}
  log-format "%[date(0,ms)] %[var(txn.rules)] %[var(txn.route)] %s %ST %Ta %HM %ci %HPO"
  http-request set-var(txn.path) path
  http-request set-var(txn.rules) {host},map_str({files}/hosts.map)
  http-request set-var(txn.route) var(txn.rules),concat(,txn.path),map_beg({files}/routes.map)
  http-request return status 200 content-type application/octet-stream \
lf-string "%[path,map_str({files}/challenges.map)]" hdr Cache-Control no-store \
if {{ path_beg {challenges} }} {{ path,map_str({files}/challenges.map) -m found }}
  http-request return status 404 content-type "text/html; charset=utf-8" lf-file {files}/not-found.html \
hdr Cache-Control no-store unless {{ var(txn.route) -m found }}
{redirect}\
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto {scheme}
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port {port}
  http-request del-header Forwarded
  http-request set-header X-Request-Id %[uuid] unless {{ req.hdr(x-request-id) -m reg ^[A-Za-z0-9._-]{{1,128}}$ }}
  http-request disable-l7-retry unless {{ method GET HEAD OPTIONS }}
  use_backend %[var(txn.route),field(1,:)]

"""

_MAINTENANCE = """\
backend maintenance
  http-request return status 503 content-type "text/html; charset=utf-8" file {files}/maintenance.html \
hdr Cache-Control no-store hdr Retry-After 60

"""

# A health check: 5xx fails as such; other codes are looked up, and where nothing is found HAProxy fails the
# check, because the text that must not be in the body is then empty.
_BACKEND = """\
backend {slot}
  balance roundrobin
  option httpchk
  http-check send meth GET uri-lf "%[be_name,map_str({files}/checks.map,/)]" ver HTTP/1.1 \
hdr Host "%[be_name,map_str({files}/check-hosts.map,health.check)]"
  http-check expect ! rstatus ^5
  http-check set-var-fmt(check.verdict) "%[be_name]/%[status]"
  http-check expect ! string-lf "%[var(check.verdict),map_beg({files}/codes.map)]"
"""

_STICKY = """\
  http-request set-var-fmt(txn.wish) "%[be_name]/%[req.cook(wherry)]"
  http-request set-var(txn.wanted) var(txn.wish),map_str({files}/sticky.map)
  use-server %[var(txn.wanted)] if {{ var(txn.wanted) -m found }}
  http-response set-var(txn.server) srv_name
  http-response add-header Set-Cookie "wherry=%[srv_name,field(2,:,2)]; Path=/; HttpOnly; SameSite=Lax" \
unless {{ var(txn.wanted),strcmp(txn.server) eq 0 }}
"""


def _frontend(setting: Setting) -> str:
    listener = setting.listener
    binds, redirect = [], ""
    for address in _addresses(setting):
        if listener.http:
            binds.append(f"  bind {address[0]}:{listener.http}{address[1]}")
        if listener.https:
            tls = f" ssl crt-list {CERTIFICATES} alpn h2,http/1.1"
            binds.append(f"  bind {address[0]}:{listener.https}{address[1]}{tls}")
    if listener.https:
        port = "" if listener.https == 443 else f":{listener.https}"
        redirect = (
            f'  http-request redirect code 308 location "https://%[{HOST}]{port}%[pathq]"'
            " if { var(txn.route),field(3,:) -m str 1 } !{ ssl_fc }\n"
        )
    # What is the same for all requests is said as it is, since to find it out takes time in each of them.
    both = listener.http and listener.https
    return _FRONTEND.format(
        binds="\n".join(binds),
        files=FILES,
        host=HOST,
        redirect=redirect,
        challenges=CHALLENGES,
        scheme="%[ssl_fc,iif(https,http)]" if both else "https" if listener.https else "http",
        port="%[dst_port]" if both else listener.https or listener.http,
    )


def _addresses(setting: Setting) -> list[tuple[str, str]]:
    address = setting.listener.address
    if address:
        return [(f"[{address}]" if ":" in address else address, "")]
    return [("*", ""), *([("[::]", " v6only")] if setting.ipv6 else [])]


def _backend(slot: str, state: Wanted) -> str:
    servers = "".join(
        f"  server {name} {server.arguments} weight {server.weight}\n"
        for name, server in state.servers.get(slot, {}).items()
    )
    sticky = _STICKY if slot.startswith("t") else ""
    return (_BACKEND + sticky).format(slot=slot, files=FILES) + servers + "\n"
