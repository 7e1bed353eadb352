"""What a Compose model says about being deployed, under `x-wherry`: routes, the release step, health, accessories.

    x-wherry:
      routes:                       # a list, or a mapping from services
        - service: web
          port: 8080                # may be left out where the service has one port
          path: /api                # "/" if not given
          host: api.example.org     # the environment's own if not given
          sticky: true
          health: /healthz          # or a mapping as below
      release: ./manage migrate     # text or list; or a mapping with `service`, `command` and `timeout`
      health: {path: /healthz, codes: 200-299, interval: 2, timeout: 1, healthy: 2, unhealthy: 3}
      accessories: [db]             # or a mapping from services to true and false

Without routes, requests go to the one stateless service that publishes a port; where none does, the environment has
no routes. A service with a named volume is an accessory, unless it is said not to be.
"""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple
from wherry.deploy.model import is_host_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["KEY", "Extension", "ReleaseStep", "Route", "parse_extension"]

KEY = "x-wherry"
_KNOWN = ("accessories", "health", "release", "routes")
_ROUTE_KEYS = ("health", "host", "path", "port", "service", "sticky")
_HEALTH_KEYS = {"path": str, "codes": str, "interval": float, "timeout": float, "healthy": int, "unhealthy": int}


class Route(NamedTuple):
    """Requests for `host` (empty: the environment's) below `path` go to a port of a service.

    `sticky` is None and `health` empty where the environment's settings decide.
    """

    service: str
    port: int
    path: str = "/"
    host: str = ""
    sticky: bool | None = None
    health: dict[str, Any] = {}  # noqa: RUF012 (a value is never changed)


class ReleaseStep(NamedTuple):
    """A command that runs once for each deployment, in a container of `service`; `timeout` in seconds."""

    service: str
    command: tuple[str, ...]
    timeout: float = 600.0


class Extension(NamedTuple):
    """All of it. `accessories` and `stateless` are services, by name."""

    routes: tuple[Route, ...]
    release: ReleaseStep | None
    accessories: tuple[str, ...]
    stateless: tuple[str, ...]


def parse_extension(model: Mapping[str, Any]) -> Extension:
    """What the model says. Raises InvalidInput that names the key which is wrong."""
    said = model.get(KEY) or {}
    services: dict[str, dict[str, Any]] = model.get("services") or {}
    _mapping(KEY, said, _KNOWN)
    accessories = _accessories(said.get("accessories"), services)
    stateless = tuple(name for name in sorted(services) if name not in accessories)
    if not stateless:
        raise InvalidInput(
            "the project has no stateless service: there is nothing to make instances of",
            hint=f"say under {KEY}.accessories which service is none (`web: false`)",
        )
    health = _health(f"{KEY}.health", said.get("health"))
    if said.get("routes") is None:
        routes = _implied(services, stateless)
    else:
        routes = _routes(said["routes"], services, stateless)
    _refuse_twice(routes)
    routes = tuple(one._replace(health={**health, **one.health}) for one in routes)
    return Extension(routes, _release(said.get("release"), services, stateless, routes), accessories, stateless)


def _mapping(key: str, value: Any, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(f"{key} must be a mapping")
    for name in value:
        if name not in known:
            from difflib import get_close_matches

            near = get_close_matches(str(name), known, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
            raise InvalidInput(f"{key}.{name} is not known", hint=hint)
    return value


# --- accessories


def _accessories(said: Any, services: Mapping[str, dict[str, Any]]) -> tuple[str, ...]:
    key = f"{KEY}.accessories"
    if said is None or isinstance(said, list):
        said = dict.fromkeys(map(str, said or ()), True)
    if not isinstance(said, dict):
        raise InvalidInput(f"{key} must be a list of services, or a mapping from services to true and false")
    for name, value in said.items():
        if name not in services:
            raise InvalidInput(f"{key}.{name}: there is no such service")
        if not isinstance(value, bool):
            raise InvalidInput(f"{key}.{name} must be true or false")
    return tuple(name for name, one in sorted(services.items()) if said.get(name, _keeps_data(one)))


def _keeps_data(service: Mapping[str, Any]) -> bool:
    mounts = [one for one in service.get("volumes") or () if isinstance(one, dict)]
    return any(one.get("type") == "volume" and one.get("source") for one in mounts)


# --- routes


def _implied(services: Mapping[str, dict[str, Any]], stateless: tuple[str, ...]) -> tuple[Route, ...]:
    published = {name: found for name in stateless if (found := _ports(services[name], "ports"))}
    if not published:
        return ()
    if len(published) > 1:
        raise InvalidInput(
            f"several services publish ports ({', '.join(published)}): which of them gets requests?",
            hint=f"say so under {KEY}.routes",
        )
    ((name, ports),) = published.items()
    if len(ports) > 1:
        raise InvalidInput(
            f"service {name} publishes several ports ({', '.join(map(str, ports))}): which one gets requests?",
            hint=f"say so under {KEY}.routes",
        )
    return (Route(name, ports[0]),)


def _ports(service: Mapping[str, Any], key: str) -> list[int]:
    found = []
    for one in service.get(key) or ():
        port, protocol = (one.get("target"), one.get("protocol")) if isinstance(one, dict) else _exposed(str(one))
        if protocol != "udp" and str(port).isdigit():
            found.append(int(str(port)))
    return list(dict.fromkeys(found))


def _exposed(text: str) -> tuple[str, str]:
    port, _, protocol = text.partition("/")
    return port, protocol


def _routes(said: Any, services: Mapping[str, dict[str, Any]], stateless: tuple[str, ...]) -> tuple[Route, ...]:
    key = f"{KEY}.routes"
    if isinstance(said, dict):
        entries = [(f"{key}.{name}", {"service": name, **_short(f"{key}.{name}", one)}) for name, one in said.items()]
    elif isinstance(said, list):
        entries = [(f"{key}[{index}]", one) for index, one in enumerate(said)]
    else:
        raise InvalidInput(f"{key} must be a list, or a mapping from services")
    return tuple(_route(key, one, services, stateless) for key, one in entries)


def _short(key: str, value: Any) -> dict[str, Any]:
    """The value of a mapping from services: nothing, a port, a path, or a mapping."""
    if value is None:
        return {}
    if isinstance(value, int) and not isinstance(value, bool):
        return {"port": value}
    if isinstance(value, str):
        return {"path": value}
    return _mapping(key, value, tuple(one for one in _ROUTE_KEYS if one != "service"))


def _route(key: str, said: Any, services: Mapping[str, dict[str, Any]], stateless: tuple[str, ...]) -> Route:
    said = _mapping(key, said, _ROUTE_KEYS)
    service = said.get("service")
    if service not in services:
        raise InvalidInput(f"{key}.service: there is no service {service}" if service else f"{key}.service is missing")
    if service not in stateless:
        raise InvalidInput(f"{key}.service: {service} is an accessory, and those get no requests from outside")
    path = said.get("path", "/")
    if not isinstance(path, str) or not path.startswith("/"):
        raise InvalidInput(f"{key}.path must be a text that begins with /")
    sticky = said.get("sticky")
    if sticky is not None and not isinstance(sticky, bool):
        raise InvalidInput(f"{key}.sticky must be true or false")
    port = _port(key, said.get("port"), str(service), services[service])
    return Route(
        str(service), port, path, _host(key, said.get("host")), sticky, _health(f"{key}.health", said.get("health"))
    )


def _host(key: str, said: Any) -> str:
    if said is None:
        return ""
    host = said.lower() if isinstance(said, str) else ""
    if not is_host_name(host):
        raise InvalidInput(f"{key}.host must be a host name without a port")
    return host


def _port(key: str, said: Any, name: str, service: Mapping[str, Any]) -> int:
    if said is not None:
        if not str(said).isdigit() or not 0 < int(said) < 65536:
            raise InvalidInput(f"{key}.port must be a number from 1 to 65535")
        return int(said)
    ports = _ports(service, "ports") or _ports(service, "expose")
    if len(ports) != 1:
        what = f"several ports ({', '.join(map(str, ports))})" if ports else "no port"
        raise InvalidInput(f"{key}.port is missing, and service {name} has {what}")
    return ports[0]


def _health(key: str, said: Any) -> dict[str, Any]:
    if said is None:
        return {}
    if isinstance(said, str):
        said = {"path": said}
    said = _mapping(key, said, tuple(_HEALTH_KEYS))
    return {name: _health_value(f"{key}.{name}", name, value) for name, value in said.items()}


def _health_value(key: str, name: str, value: Any) -> Any:
    from wherry.deploy.settings import parse_assignments

    try:
        text = parse_assignments([f"health.{name}={value}"])[f"health.{name}"]
    except InvalidInput as error:
        raise InvalidInput(f"{key}: {error.message.partition(': ')[2]}") from None
    if not text:
        raise InvalidInput(f"{key} is empty")
    return _HEALTH_KEYS[name](text)


def _refuse_twice(routes: tuple[Route, ...]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for one in routes:
        where = one.host, one.path
        if where in seen:
            raise InvalidInput(
                f"{KEY}.routes: {one.host}{one.path} is routed twice, to {seen[where]} and to {one.service}"
            )
        seen[where] = one.service


# --- release


def _release(
    said: Any, services: Mapping[str, dict[str, Any]], stateless: tuple[str, ...], routes: tuple[Route, ...]
) -> ReleaseStep | None:
    key = f"{KEY}.release"
    if said is None:
        return None
    if not isinstance(said, dict):
        said = {"command": said}
    said = _mapping(key, said, ("command", "service", "timeout"))
    service = said.get("service") or (routes[0].service if routes else stateless[0] if len(stateless) == 1 else "")
    if not service:
        raise InvalidInput(f"{key}.service is missing: there are {', '.join(stateless)}")
    if service not in services:
        raise InvalidInput(f"{key}.service: there is no service {service}")
    timeout = said.get("timeout", 600)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout <= 0:
        raise InvalidInput(f"{key}.timeout must be a number of seconds")
    return ReleaseStep(service, _command(f"{key}.command", said.get("command")), float(timeout))


def _command(key: str, said: Any) -> tuple[str, ...]:
    if isinstance(said, str) and said.strip():
        return ("/bin/sh", "-c", said)
    if isinstance(said, list) and said and all(isinstance(one, (str, int, float)) for one in said):
        return tuple(map(str, said))
    raise InvalidInput(f"{key} must be a text for the shell, or a list of words")
