"""The applied state on disk: one directory per generation, and a link to the one that holds.

A generation is everything that HAProxy starts with, and the sections it was made of; that the link is replaced in one
step makes several environments change together. The directory is the installation's alone: it holds private keys.
"""

from __future__ import annotations

import json
import os

from wherry.base.errors import Corrupt
from wherry.base.files import atomic_write, ensure_directory, read_text, remove_tree, sync_directory
from wherry.deploy.balancer import Listener
from wherry.deploy.haproxy.applied import Applied
from wherry.deploy.haproxy.configuration import Setting
from wherry.deploy.routing import Certificate, Check, Pool, Rule, Section, Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Records", "decode_applied", "encode_applied"]

_STATE = "applied.json"
_TRIES = 50


class Records:
    """Below `directory`: `configuration/` for HAProxy to read, `live/` for what it makes."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.configuration = f"{directory}/configuration"
        self.live = f"{directory}/live"

    def load(self) -> Applied:
        """What was last saved; nothing where nothing was. Needs no lock."""
        for _ in range(_TRIES):
            try:
                with open(f"{self.configuration}/current/{_STATE}", encoding="utf-8") as file:
                    return decode_applied(json.load(file))
            except FileNotFoundError:  # nothing yet, or another generation holds since the link was read
                if not os.path.lexists(f"{self.configuration}/current"):
                    return Applied()
            except (ValueError, KeyError, TypeError) as error:
                raise self._unreadable(str(error)) from None
        raise self._unreadable("it is not there")

    def _unreadable(self, why: str) -> Corrupt:
        return Corrupt(
            f"the load balancer's state in {self.configuration} cannot be read: {why}",
            hint="remove the directory and deploy the environments again",
        )

    def save_setting(self, setting: Setting) -> None:
        """Note what only a restart changes, for those who change the rest."""
        ensure_directory(self.directory, 0o700)
        text = json.dumps([list(setting.listener), *setting[1:]]).encode()
        atomic_write(f"{self.directory}/setting.json", text, mode=0o600)

    def load_setting(self) -> Setting | None:
        """What was noted; None where nothing was."""
        text = read_text(f"{self.directory}/setting.json")
        if not text:
            return None
        listener, *rest = json.loads(text)
        return Setting(Listener(*listener), *rest)

    def save(self, applied: Applied, files: dict[str, str]) -> None:
        """Make this the generation that holds; the caller has the balancer's lock. Free where it holds already."""
        texts = {**files, _STATE: json.dumps(encode_applied(applied))}
        if self._holds(texts):
            return
        for directory in (self.directory, self.configuration, self.live):
            ensure_directory(directory, 0o700)
        name = f"generation-{os.urandom(6).hex()}"
        os.mkdir(f"{self.configuration}/{name}", 0o700)
        for file, text in texts.items():
            atomic_write(f"{self.configuration}/{name}/{file}", text.encode(), mode=0o600)
        link = f"{self.configuration}/{name}.link"
        os.symlink(name, link)
        os.rename(link, f"{self.configuration}/current")
        sync_directory(self.configuration)
        self._sweep(name)

    def _holds(self, texts: dict[str, str]) -> bool:
        current = f"{self.configuration}/current"
        try:
            if set(os.listdir(current)) != set(texts):
                return False
            for file, text in texts.items():
                with open(f"{current}/{file}", encoding="utf-8", newline="") as there:
                    if there.read() != text:
                        return False
        except FileNotFoundError:
            return False
        return True

    def _sweep(self, kept: str) -> None:
        for name in os.listdir(self.configuration):
            path = f"{self.configuration}/{name}"
            if name.endswith(".link"):
                os.unlink(path)
            elif name not in (kept, "current"):
                remove_tree(path)


def encode_applied(applied: Applied) -> dict[str, Any]:
    """JSON values that `decode_applied` turns into an equal state."""
    return {
        "sections": [
            {
                "environment": section.environment,
                "rules": [list(rule) for rule in section.rules],
                "pools": [_encode_pool(pool) for pool in section.pools],
                "certificates": [list(certificate) for certificate in section.certificates],
                "maintenance": section.maintenance,
                "challenges": [list(challenge) for challenge in section.challenges],
            }
            for section in applied.sections.values()
        ],
        "slots": applied.slots,
        "turn": applied.turn,
    }


def _encode_pool(pool: Pool) -> dict[str, Any]:
    servers = [list(server) for server in pool.servers]
    return {"name": pool.name, "servers": servers, "check": list(pool.check), "sticky": pool.sticky}


def decode_applied(value: dict[str, Any]) -> Applied:
    """The inverse of `encode_applied`."""
    sections = [
        Section(
            each["environment"],
            tuple(Rule(*rule) for rule in each["rules"]),
            tuple(_decode_pool(pool) for pool in each["pools"]),
            tuple(Certificate(*certificate) for certificate in each["certificates"]),
            each["maintenance"],
            tuple((token, answer) for token, answer in each.get("challenges", ())),
        )
        for each in value["sections"]
    ]
    return Applied({section.environment: section for section in sections}, value["slots"], value["turn"])


def _decode_pool(value: dict[str, Any]) -> Pool:
    servers = tuple(Server(*server) for server in value["servers"])
    return Pool(value["name"], servers, Check(*value["check"]), value["sticky"])
