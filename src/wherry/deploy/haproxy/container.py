"""HAProxy as a container of the engine: on the host's network, restarted by its policy, with next to no rights."""

from __future__ import annotations

import os

from wherry.base.errors import Conflict, NotFound, Unavailable
from wherry.base.progress import Warned
from wherry.deploy.haproxy.configuration import FILES, LIVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.base.paths import Layout
    from wherry.base.progress import Sink
    from wherry.deploy.balancer import Listener
    from wherry.deploy.haproxy.admin import Admin
    from wherry.deploy.haproxy.records import Records
    from wherry.engine import Engine
    from wherry.engine.records import Container
    from wherry.engine.request import ContainerRequest

__all__ = ["NAME", "BalancerContainer", "check_ports"]

NAME = "wherry-balancer"
_SHAPE = "io.wherry.balancer.shape"
_START_SECONDS = 15.0
_STEP_SECONDS = 0.02


class BalancerContainer:
    """The one container; `engine` is open for the time of the call."""

    def __init__(self, layout: Layout, records: Records, admin: Admin, progress: Sink) -> None:
        self._layout = layout
        self._records = records
        self._admin = admin
        self._progress = progress

    def ensure(self, shape: str, listener: Listener) -> bool:
        """Have one of that shape run; whether it was started by this call. Raises Conflict where its port is taken."""
        from wherry.engine import open_engine

        engine = open_engine(self._layout)
        try:
            present = _find(engine)
            image = self._image(engine)
            shape = f"{shape}-{image[-12:]}"
            if present is not None:
                if present.request.labels.get(_SHAPE) == shape and self._runs(engine, present):
                    return False
                self._replace(engine, present, shape)
            self._start(engine, image, shape, listener)
            return True
        finally:
            engine.close()

    def stop(self) -> None:
        """End it gracefully and take it away; harmless where it is not there."""
        from wherry.engine import open_engine

        engine = open_engine(self._layout)
        try:
            present = _find(engine)
            if present is not None:
                engine.lifecycle.stop(present.id)
                engine.lifecycle.remove(present.id, force=True)
        finally:
            engine.close()

    def _image(self, engine: Engine) -> str:
        """The image's identifier; built where it is missing."""
        from wherry.base.config import load_configuration
        from wherry.build.bases import build_base, find_base
        from wherry.build.definition import ca_bundle

        image = find_base(engine, "haproxy")
        if image is None:
            bundle = ca_bundle(load_configuration(os.environ).ca_bundle)
            image = build_base(engine, "haproxy", self._progress, ca_bundle=bundle).image
        return image.id

    def _runs(self, engine: Engine, container: Container) -> bool:
        if container.state.status not in ("running", "starting", "restarting"):
            return False
        return self._wait(engine, container.id)

    def _replace(self, engine: Engine, container: Container, shape: str) -> None:
        if container.state.is_running and container.request.labels.get(_SHAPE) != shape:
            self._progress(Warned("the load balancer is restarted, since its image or where it listens has changed"))
        engine.lifecycle.stop(container.id)
        engine.lifecycle.remove(container.id, force=True)

    def _start(self, engine: Engine, image: str, shape: str, listener: Listener) -> None:
        check_ports(listener)
        container_id = engine.containers.create(_request(image, shape, self._records), self._progress)
        try:
            engine.containers.start(container_id)
            if not self._wait(engine, container_id):
                raise Unavailable(
                    f"the load balancer does not start: {_last_words(engine, container_id)}",
                    hint="`wherry doctor` says whether a part of the machine is missing",
                )
        except BaseException:
            engine.lifecycle.remove(container_id, force=True)
            raise

    def _wait(self, engine: Engine, container_id: str) -> bool:
        """Until its socket answers: all that HAProxy offers is to ask, so every 20 ms, for 15 s at most."""
        import time

        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._admin.answers():
                return True
            if engine.containers.resolve(container_id).state.status in ("exited", "dead"):
                return False
            time.sleep(_STEP_SECONDS)
        return False


def check_ports(listener: Listener, ours: Iterable[int] = ()) -> None:
    """Raises Conflict, naming the port, where somebody else listens there; `ours` are ports that the balancer has."""
    import socket

    for port in (listener.http, listener.https):
        if not port or port in ours:
            continue
        family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((listener.address, port))
            except OSError as error:
                raise Conflict(
                    f"the load balancer cannot listen on port {port}: {error.strerror}"
                    f" (`ss -ltnp 'sport = {port}'` names who does; `balancer.http` and `balancer.https` in"
                    " /etc/wherry/config.toml choose other ports)"
                ) from None


def _find(engine: Engine) -> Container | None:
    try:
        return engine.containers.resolve(NAME)
    except NotFound:
        return None


def _last_words(engine: Engine, container_id: str) -> str:
    lines = [record.data.decode(errors="replace").strip() for record in engine.containers.logs(container_id, tail=5)]
    return "; ".join(line for line in lines if line) or "it says nothing"


def _request(image: str, shape: str, records: Records) -> ContainerRequest:
    """It begins as root, to bind low ports and to read the keys; then it is the user haproxy, without capabilities."""
    from wherry.engine.request import ContainerRequest, MountRequest, RestartPolicy

    return ContainerRequest(
        image,
        name=NAME,
        entrypoint=("haproxy",),
        command=("-db", "-q", "-f", f"{FILES}/haproxy.cfg"),
        user="0:0",
        labels={_SHAPE: shape},
        detached=True,
        restart=RestartPolicy("always"),
        stop_signal="SIGUSR1",
        stop_timeout=30,
        network="host",
        mounts=(
            MountRequest("bind", os.path.dirname(FILES), records.configuration, read_only=True),
            MountRequest("bind", LIVE, records.live),
        ),
        read_only=True,
        cap_drop=("ALL",),
        cap_add=("NET_BIND_SERVICE", "SETGID", "SETUID"),
        security_opt=("no-new-privileges",),
        pull="never",
    )
