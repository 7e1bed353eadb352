"""What a Compose project looks like from outside, alike for Docker and Wherry, so that it can be compared.

Names are told as Compose 2 makes them: Compose 1 has `_` where 2 has `-` in the names of containers and of images.
"""

import json
import os
import re

from sidebyside import normalise

_CONFIG = (
    "Hostname Domainname User Env Cmd Entrypoint WorkingDir Image Tty OpenStdin StopSignal StopTimeout Healthcheck"
).split()
_HOST = (
    "RestartPolicy CapAdd CapDrop Dns ExtraHosts GroupAdd IpcMode PidMode NetworkMode Privileged ReadonlyRootfs"
    " SecurityOpt Tmpfs ShmSize Memory NanoCpus CpuShares PidsLimit Ulimits Sysctls Init PortBindings AutoRemove"
).split()
_LABELS = "project service container-number oneoff network volume".split()
_COMPOSE = "com.docker.compose."


def inspected(side, kind, *identifiers):
    return json.loads(side(kind, "inspect", *identifiers).stdout or b"[]") if identifiers else []


def listed(side, *arguments):
    return side(*arguments).stdout.decode().split()


class Watch:
    """Looks at one side again and again, and knows what is new since it looked last. `directory` is its project's."""

    def __init__(self, side, directory):
        self.side, self._directory = side, os.path.dirname(directory)
        self._seen = {}

    def look(self):
        """{thing: {what can differ: text}}."""
        containers = inspected(self.side, "container", *listed(self.side, "ps", "-aq", "--no-trunc"))
        told = {f"container {_hyphens(one['Name'].lstrip('/'))}": self._container(one) for one in containers}
        self._seen = {one["Id"]: one["State"]["StartedAt"] for one in containers}
        for kind, facts in (("network", _network), ("volume", _volume)):
            for one in inspected(self.side, kind, *listed(self.side, kind, "ls", "-q")):
                if one["Name"] not in ("bridge", "host", "none"):
                    name = re.sub(r"^[0-9a-f]{64}$", "anonymous", one["Name"])
                    told[f"{kind} {name}"] = facts(one)
        for name in listed(self.side, "images", "--format", "{{.Repository}}:{{.Tag}}"):
            told[f"image {_hyphens(name)}"] = {}
        told.pop("image <none>:<none>", None)
        return {thing: {key: self._text(value) for key, value in facts.items()} for thing, facts in told.items()}

    def _text(self, value):
        return normalise(json.dumps(value or None, sort_keys=True).replace(self._directory, ""), exact=True)

    def order(self, services):
        """The services in the order in which they were started last."""
        started = {}
        for one in inspected(self.side, "container", *listed(self.side, "ps", "-aq")):
            service = one["Config"]["Labels"].get(f"{_COMPOSE}service")
            started[service] = max(started.get(service, ""), one["State"]["StartedAt"])
        return sorted(services, key=lambda name: started.get(name, ""))

    def _container(self, one):
        config, host, state = one["Config"], one["HostConfig"], one["State"]
        facts = {key: config.get(key) for key in _CONFIG} | {key: host.get(key) for key in _HOST}
        facts["Hostname"] = re.sub("^[0-9a-f]{12}$", "its own", config["Hostname"])
        facts["Image"] = _hyphens(config["Image"])
        facts["Env"] = sorted(one for one in config["Env"] or [] if not one.startswith("affinity:"))
        facts["StopSignal"] = config.get("StopSignal") or "SIGTERM"
        facts["Ulimits"] = sorted(host["Ulimits"] or [], key=lambda limit: limit["Name"])
        facts["SecurityOpt"] = [one.replace(":", "=", 1) for one in host["SecurityOpt"] or []]
        facts["RestartPolicy"] = {**host["RestartPolicy"], "Name": host["RestartPolicy"]["Name"] or "no"}
        facts["labels"] = _labels(config["Labels"])
        facts["state"] = state["Status"], state["ExitCode"] if state["Status"] == "exited" else 0
        facts["since"] = "kept" if one["Id"] in self._seen else "new"
        facts["started"] = "as before" if self._seen.get(one["Id"]) == state["StartedAt"] else "since"
        facts["mounts"] = sorted(_mount(mount) for mount in one["Mounts"] if mount["Type"] != "tmpfs")
        facts["networks"] = {key: _place(place, one) for key, place in one["NetworkSettings"]["Networks"].items()}
        facts["ports"] = one["NetworkSettings"]["Ports"] or {}
        return facts


def differences_of_state(docker, wherry):
    """Lines about what differs between two looks; what is nothing is nothing, said by null, an empty list or 0."""
    lines = [f"only docker has {thing}" for thing in sorted(docker.keys() - wherry.keys())]
    lines += [f"only wherry has {thing}" for thing in sorted(wherry.keys() - docker.keys())]
    for thing in sorted(docker.keys() & wherry.keys()):
        for key in sorted(docker[thing]):
            if docker[thing][key] != wherry[thing][key]:
                lines.append(f"{thing}, {key}: docker {docker[thing][key]}, wherry {wherry[thing][key]}")
    return lines


def _hyphens(name):
    name = re.sub(r"^([a-z0-9-]+(?:_3)?)_([a-z]+)_(\d+)$", r"\1-\2-\3", name)
    name = re.sub(r"^([a-z0-9-]+)[_-]([a-z]+)[_-]run[_-][0-9a-f]{12}$", r"\1-\2-run-SLUG", name)
    return re.sub(r"^(shop|fromdotenv|other)_([a-z]+)(:latest)?$", r"\1-\2\3", name)


def _labels(labels):
    """All but what depends on the program: Compose 2 numbers the containers of `run` too."""
    labels = labels or {}
    own = {key: value for key, value in labels.items() if not key.startswith(_COMPOSE)}
    wanted = [key for key in _LABELS if key != "container-number" or labels.get(f"{_COMPOSE}oneoff") != "True"]
    return own | {key: labels[_COMPOSE + key] for key in wanted if _COMPOSE + key in labels}


def _mount(mount):
    anonymous = re.fullmatch("[0-9a-f]{64}", mount.get("Name", ""))
    source = mount.get("Name") or mount["Source"]
    return mount["Destination"], mount["Type"], "anonymous" if anonymous else source, mount["RW"]


def _place(place, container):
    names = set(place["Aliases"] or ()) - {container["Id"][:12]}
    wanted = (place.get("IPAMConfig") or {}).get("IPv4Address")
    return {"aliases": sorted(map(_hyphens, names)), "wanted": wanted, "is joined": bool(place["IPAddress"])}


def _network(one):
    config = one["IPAM"]["Config"] or []
    own = [pool["Subnet"] for pool in config if pool["Subnet"].startswith("10.214.")]
    return {"labels": _labels(one["Labels"]), "internal": one["Internal"], "driver": one["Driver"], "subnets": own}


def _volume(one):
    return {"labels": _labels(one["Labels"]), "driver": one["Driver"]}
