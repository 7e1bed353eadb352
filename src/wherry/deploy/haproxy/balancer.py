"""The load balancer, as `deploy/balancer.py` wants one."""

from __future__ import annotations

import os

from wherry.base.errors import Unavailable
from wherry.base.files import atomic_write, remove_if_exists
from wherry.base.locks import FileLock
from wherry.base.progress import nobody
from wherry.deploy.balancer import Listener
from wherry.deploy.haproxy.access import parse_access
from wherry.deploy.haproxy.admin import Admin
from wherry.deploy.haproxy.applied import Applied, merge, without
from wherry.deploy.haproxy.configuration import Setting, files, shape
from wherry.deploy.haproxy.difference import difference
from wherry.deploy.haproxy.records import Records
from wherry.deploy.haproxy.states import sessions_of, states_of
from wherry.deploy.haproxy.wanted import wanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.base.paths import Layout
    from wherry.base.progress import Sink
    from wherry.deploy.balancer import AccessRecord
    from wherry.deploy.haproxy.container import BalancerContainer
    from wherry.deploy.haproxy.observed import Statistics
    from wherry.deploy.routing import Section, ServerState

__all__ = ["HAProxy", "configured_listener"]

_BACK_SECONDS = 20.0  # until an HAProxy that was killed is back at the latest, before somebody has to look
_LOOK_SECONDS = 0.05


class HAProxy:
    """One installation's load balancer. Without a `listener`, it listens where the configuration file says.

    `progress` hears of the base image's build and of restarts.
    """

    def __init__(self, layout: Layout, listener: Listener | None = None, progress: Sink = nobody) -> None:
        self._layout = layout
        self._listener = listener or configured_listener()
        self._progress = progress
        directory = f"{layout.root}/balancer"
        self._records = Records(directory)
        self._admin = Admin(self._records.live)
        self._expected = f"{directory}/expected"

    def ensure(self) -> Listener:
        """Run it; see the contract. The base image is built where it is missing."""
        with self._lock():
            applied, setting = self._records.load(), self._setting()
            self._check_move()
            self._records.save_setting(setting)
            self._records.save(applied, files(applied, setting))
            atomic_write(self._expected, b"")
            try:
                started = self._container().ensure(shape(setting), self._listener)
            except BaseException:
                if not self._admin.answers():
                    remove_if_exists(self._expected)
                raise
            if not started:
                self._synchronize(applied, setting)
        return self._listener

    def _check_move(self) -> None:
        """Raises Conflict where it runs and could not be had where it is wanted: it goes on where it is then."""
        from wherry.deploy.haproxy.container import check_ports

        noted = self._records.load_setting()
        if noted is not None and noted.listener != self._listener and self._admin.answers():
            check_ports(self._listener, (noted.listener.http, noted.listener.https))

    def apply(self, *sections: Section) -> None:
        """Make these sections hold. What is saved holds after a restart; then HAProxy is changed to it."""
        with self._lock():
            self._hold(merge(self._records.load(), sections))

    def remove(self, environment: str) -> None:
        """Forget an environment."""
        with self._lock():
            applied = self._records.load()
            if environment in applied.sections:
                self._hold(without(applied, environment))

    def sections(self) -> dict[str, Section]:
        """What was last applied."""
        return dict(self._records.load().sections)

    def states(self, environment: str) -> list[ServerState]:
        """What HAProxy says of the environment's servers, in the order of its section."""
        applied = self._records.load()
        section = applied.sections.get(environment)
        if section is None:
            return []
        return states_of(section, applied.slots[environment], self._statistics())

    def all_states(self) -> dict[str, list[ServerState]]:
        """What HAProxy says of all servers."""
        applied, statistics = self._records.load(), self._statistics()
        return {name: states_of(section, applied.slots[name], statistics) for name, section in applied.sections.items()}

    def _statistics(self) -> list[Statistics]:
        """Nothing where HAProxy does not run."""
        try:
            return self._admin.statistics()
        except Unavailable:
            return []

    def wait_idle(self, environment: str, instance: str, timeout: float) -> bool:
        """Wait for the instance's last request; HAProxy can only be asked, so it is, every 50 ms."""
        import time

        deadline = time.monotonic() + timeout
        while True:
            try:
                if not sessions_of(environment, instance, self._admin.statistics()):
                    return True
            except Unavailable:
                return True  # nothing is under way in an HAProxy that does not run
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_SECONDS)

    def access(self, environment: str, since: float = 0.0, *, follow: bool = False) -> Iterator[AccessRecord]:
        """The environment's requests, from HAProxy's ring; following goes on when HAProxy comes back after a kill."""
        import time

        while True:
            try:
                for line in self._admin.events("access", follow=follow):
                    record = parse_access(line, environment, since)
                    if record is not None:
                        yield record
            except Unavailable:
                if not follow:
                    return
            if not follow:
                return
            since = max(since, time.time())
            time.sleep(_LOOK_SECONDS)

    def running(self) -> bool:
        """Whether HAProxy answers."""
        return self._admin.answers()

    def stop(self) -> None:
        """Stop it and take its container away."""
        with self._lock():
            remove_if_exists(self._expected)
            self._container().stop()

    def _hold(self, applied: Applied) -> None:
        """Save it, and change HAProxy to it; where it listens stays as it is until the next `ensure`."""
        setting = self._records.load_setting() or self._setting()
        self._records.save(applied, files(applied, setting))
        if os.path.exists(self._expected):
            self._synchronize(applied, setting)

    def _synchronize(self, applied: Applied, setting: Setting) -> None:
        """Change HAProxy to the state. One that was just killed is waited for: it may have read what held before."""
        import time

        tls = bool(setting.listener.https)
        deadline = time.monotonic() + _BACK_SECONDS
        while True:
            try:
                self._admin.carry_out(difference(self._admin.observe(tls=tls), wanted(applied), tls=tls))
            except Unavailable:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_LOOK_SECONDS)
            else:
                return

    def _lock(self) -> FileLock:
        return FileLock(f"{self._layout.locks}/balancer")

    def _container(self) -> BalancerContainer:
        from wherry.deploy.haproxy.container import BalancerContainer

        return BalancerContainer(self._layout, self._records, self._admin, self._progress)

    def _setting(self) -> Setting:
        ipv6 = os.path.exists("/proc/net/if_inet6")
        return Setting(self._listener, ipv6, self._default_certificate())

    def _default_certificate(self) -> str:
        """What a client gets that asks for a name that no certificate is for."""
        if not self._listener.https:
            return ""
        from wherry.deploy.certificates import LocalAuthority

        return LocalAuthority(f"{self._layout.root}/authority").issue("default", ("localhost",)).pem


def configured_listener() -> Listener:
    """Where the configuration file says that the balancer listens."""
    from wherry.base.config import load_configuration

    configuration = load_configuration(os.environ)
    return Listener(configuration.balancer_address, configuration.balancer_http, configuration.balancer_https)
