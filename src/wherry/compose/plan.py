"""What to do so that a project is there as its files want it. Pure: a model and a state give a plan.

A container is made anew exactly where Compose would: its configuration's hash, its image, a network or a volume of it
differ, or a container whose namespace it shares is made anew. Everything is done at once that does not wait for
something else: containers wait for their networks and volumes, starts wait for what `depends_on` says.
Source: docker compose, pkg/compose/reconcile.go.
"""

from __future__ import annotations

from wherry.base.errors import InvalidInput, NotFound
from wherry.base.values import NamedTuple
from wherry.compose import labels as label
from wherry.compose.actions import Draft, Plan, Step
from wherry.compose.hashing import resource_hash, service_hash
from wherry.compose.state import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from wherry.compose.model import Project, Service
    from wherry.compose.state import ObservedContainer, State

__all__ = ["UpOptions", "container_name", "plan_start", "plan_up"]


class UpOptions(NamedTuple):
    """`recreate` and `recreate_dependencies` are diverged, force or never; `targets` are the services named (all)."""

    recreate: str = "diverged"
    recreate_dependencies: str = "diverged"
    targets: tuple[str, ...] = ()
    known: tuple[str, ...] = ()  # every service that the project has, whether chosen or not
    start: bool = True
    remove_orphans: bool = False
    ignore_orphans: bool = False
    renew_anonymous_volumes: bool = False  # new containers begin with empty ones; the old ones' stay


def container_name(project: str, service: Service, number: int) -> str:
    """`project-service-number`, or the name that the service gives it."""
    return str(service.get("container_name") or f"{project}-{service.name}-{number}")


def plan_up(project: Project, state: State, options: UpOptions) -> Plan:
    """The plan of `up` (and of `create`, without `start`). Raises NotFound for what is external and absent."""
    return _Up(project, state, options).run()


def plan_start(project: Project, state: State) -> Plan:
    """The plan of `start`: the containers that there are, in the order of dependencies."""
    return _Up(project, state, UpOptions()).start_existing()


def _temporary_name(replaced: str, name: str) -> str:
    """What a container is called until the one that it replaces, an identifier, is gone."""
    return f"{replaced[:12]}_{name}"


class _Replica(NamedTuple):
    """One container that will be there: `ready` is the step after which it may be started, 0 for none."""

    number: int
    name: str
    container: str = ""
    made_by: int = 0
    ready: int = 0
    is_running: bool = False
    why: str = ""


class _Up:
    def __init__(self, project: Project, state: State, options: UpOptions) -> None:
        self._project = project
        self._state = state
        self._options = options
        self._draft = Draft()
        self._resources: dict[tuple[str, str], int] = {}  # (section, key): the step that makes it
        self._recreated: set[str] = set()
        self._replicas: dict[str, list[_Replica]] = {}
        self._stops: dict[str, list[int]] = {}  # steps that stop a service's old containers
        self._starts: dict[str, list[int]] = {}
        self._waits: dict[tuple[str, str, bool], int] = {}
        self._stopped: dict[str, int] = {}  # containers that the plan stops already: the step
        self._removed: dict[str, int] = {}  # containers that the plan removes: the step
        self._renewed: set[str] = set()  # networks, by key, that are made anew

    def run(self) -> Plan:
        self._networks()
        self._volumes()
        for service in self._project.ordered():
            self._replicas[service.name] = self._service(service)
        if self._options.start:
            for service in self._project.ordered():
                self._start(service)
        self._orphans()
        return self._draft.finish()

    def start_existing(self) -> Plan:
        """The plan of `start`: what there is, in order."""
        for service in self._project.ordered():
            existing = [one for one, _ in whole(self._state.of_service(service.name))]
            running = [one for one in existing if one.status in ("running", "restarting")]
            self._draft.unchanged += [one.name for one in running]
            self._replicas[service.name] = [
                _Replica(one.number, one.name, one.id, 0, 0, one in running, f"it is {one.status}") for one in existing
            ]
        for service in self._project.ordered():
            self._start(service)
        return self._draft.finish()

    # --- networks and volumes

    def _networks(self) -> None:
        for key, network in self._project.networks.items():
            observed = self._state.networks.get(network["name"])
            if network.get("external"):
                if observed is None and network["name"] not in ("host", "none", "bridge"):
                    words = f"network {network['name']} declared as external, but could not be found"
                    raise NotFound(words, hint=f"create it: wherry network create {network['name']}")
                continue
            if observed is None:
                self._create_resource("networks", key, network, "it does not exist")
            elif observed.labels.get(label.CONFIG_HASH, resource_hash(network)) != resource_hash(network):
                self._renew_network(key, network)

    def _create_resource(
        self, section: str, key: str, one: dict[str, Any], why: str, after: Iterable[int] = ()
    ) -> None:
        verb = f"create-{section.removesuffix('s')}"
        self._resources[section, key] = self._draft.add(Step(0, verb, one["name"], why=why, service=key), after)

    def _renew_network(self, key: str, network: dict[str, Any]) -> None:
        """A network cannot be changed: its containers stop, it goes and comes again, and so do they."""
        stops: list[int] = []
        for service in self._project.services.values():
            if key in service.get("networks", {}):
                containers = self._state.of_service(service.name)
                stops += [self._stop(one, f"network {key} changed") for one in containers]
        self._renewed.add(key)
        why = "its configuration changed"
        gone = self._draft.add(Step(0, "remove-network", network["name"], why=why, service=key), stops)
        self._create_resource("networks", key, network, why, [gone])

    def _volumes(self) -> None:
        for key, volume in self._project.volumes.items():
            observed = self._state.volumes.get(volume["name"])
            if volume.get("external"):
                if observed is None:
                    words = f'external volume "{volume["name"]}" not found'
                    raise NotFound(words, hint=f"create it: wherry volume create {volume['name']}")
            elif observed is None:
                self._create_resource("volumes", key, volume, "it does not exist")
            elif observed.labels.get(label.CONFIG_HASH, resource_hash(volume)) != resource_hash(volume):
                self._draft.warnings.append(
                    f'volume "{volume["name"]}" exists but does not match the configuration in the compose file:'
                    " it is kept as it is; `down -v` removes it with its data"
                )
            elif observed.labels.get(label.PROJECT, self._project.name) != self._project.name:
                self._draft.warnings.append(
                    f'volume "{volume["name"]}" already exists but was created for project'
                    f' "{observed.labels[label.PROJECT]}"'
                )

    # --- containers

    def _service(self, service: Service) -> list[_Replica]:
        if service.get("container_name") and service.scale > 1:
            raise InvalidInput(
                f'the "{service.name}" service is using the custom container name "{service.get("container_name")}":'
                " it cannot be scaled",
                hint="remove container_name to scale the service",
            )
        wanted = service_hash(service)
        reasons = {one.id: self._why_recreate(service, wanted, one) for one in self._state.of_service(service.name)}
        existing = [self._settle(*pair, reasons) for pair in whole(self._state.of_service(service.name))]
        existing.sort(key=lambda one: (bool(reasons[one.id]), one.number))
        for excess in existing[service.scale :]:
            self._remove(excess, "there are more than wanted")
        kept = existing[: service.scale]
        replicas = [self._keep(service, one, reasons[one.id]) for one in kept]
        first = max((one.number for one in self._state.of_service(service.name)), default=0) + 1
        more = range(first, first + service.scale - len(kept))
        replicas += [self._create(service, number) for number in more]
        return sorted(replicas, key=lambda one: one.number)

    def _settle(
        self, container: ObservedContainer, half_made: ObservedContainer | None, reasons: dict[str, str]
    ) -> ObservedContainer:
        """Which stays of a container and of what was to replace it when an earlier command was cut off."""
        if half_made is None:
            return container
        if reasons[container.id] and not reasons[half_made.id]:
            self._remove(container, "it has been replaced")
            return half_made
        self._remove(half_made, "it was to replace another one, and is out of date")
        return container

    def _why_recreate(self, service: Service, wanted: str, container: ObservedContainer) -> str:
        """Why the container has to be made anew; empty where it may stay."""
        options = self._options
        is_target = not options.targets or service.name in options.targets
        policy = options.recreate if is_target else options.recreate_dependencies
        if self._renewed.intersection(service.get("networks", {})):
            return "its network changed"
        if policy == "never":
            return ""
        if policy == "force":
            return "forced"
        parents = [name for name in service.namespace_parents() if name in self._recreated]
        if parents:
            return f"{parents[0]} is made anew"
        if container.labels.get(label.CONFIG_HASH) != wanted:
            return "its configuration changed"
        image = self._state.images.get(service.image_name(self._project.name))
        if image and container.labels.get(label.IMAGE, image) != image:
            return "its image changed"
        return self._why_detached(service, container)

    def _why_detached(self, service: Service, container: ObservedContainer) -> str:
        """Whether it lacks a network or a volume that the project has now."""
        if container.status == "running":
            for key in service.get("networks", {}):
                if self._project.networks[key]["name"] not in container.networks:
                    return f"it is not on the network {key}"
        mounted = {mount.volume for mount in container.mounts}
        for mount in service.get("volumes", ()):
            if mount["type"] == "volume" and mount.get("source"):
                name = self._project.volumes[mount["source"]]["name"]
                if name not in mounted or ("volumes", mount["source"]) in self._resources:
                    return f"it does not have the volume {mount['source']}"
        return ""

    def _infrastructure(self, service: Service) -> list[int]:
        """The steps that must be done before a container of the service can be made."""
        steps = [self._resources.get(("networks", key), 0) for key in service.get("networks", {})]
        mounts = [mount for mount in service.get("volumes", ()) if mount["type"] == "volume"]
        steps += [self._resources.get(("volumes", mount.get("source", "")), 0) for mount in mounts]
        for parent in service.namespace_parents():
            steps += [replica.ready for replica in self._replicas.get(parent, ())]
        return steps

    def _keep(self, service: Service, container: ObservedContainer, why: str) -> _Replica:
        if why:
            self._recreated.add(service.name)
            return self._recreate(service, container, why)
        name = container_name(self._project.name, service, container.number)
        replaced = container.labels.get(label.REPLACE, "")
        if replaced and container.name == _temporary_name(replaced, name):
            step = Step(0, "rename", name, why="it was cut off", service=service.name, replica=container.number)
            renamed = self._draft.add(step._replace(container=container.id), [self._removed.get(replaced, 0)])
            return _Replica(container.number, name, container.id, 0, renamed, False, f"it is {container.status}")
        restarted = self._restart_with_dependency(service, container)
        if container.is_running and container.status != "paused" and not restarted:
            self._draft.unchanged.append(container.name)
        why = "what it depends on is made anew" if restarted else f"it is {container.status}"
        is_running = container.status in ("running", "restarting") and not restarted
        return _Replica(container.number, container.name, container.id, 0, restarted, is_running, why)

    def _restart_with_dependency(self, service: Service, container: ObservedContainer) -> int:
        """`depends_on: restart: true`: stopped before what it depends on is; the step, 0 for none."""
        parents = [one.service for one in service.dependencies if one.restart and one.service in self._recreated]
        if not parents or not container.is_running:
            return 0
        step = Step(0, "stop", container.name, why=f"{parents[0]} is made anew", service=service.name)
        number = self._draft.add(step._replace(container=container.id, replica=container.number))
        for parent in parents:
            for stop in self._stops.get(parent, ()):
                self._draft.delay(stop, [number])
        return number

    def _recreate(self, service: Service, container: ObservedContainer, why: str) -> _Replica:
        """A new one under another name, the old one stopped and removed, the new one renamed: as short as can be."""
        inherits = "" if self._options.renew_anonymous_volumes else container.id
        name = container_name(self._project.name, service, container.number)
        step = Step(0, "create", _temporary_name(container.id, name), why=why, service=service.name, inherits=inherits)
        created = self._draft.add(step._replace(replica=container.number), self._infrastructure(service))
        removed = self._remove(container, why, after=[created])
        step = Step(0, "rename", name, service=service.name, replica=container.number, made_by=created)
        renamed = self._draft.add(step, [removed])
        return _Replica(container.number, name, "", created, renamed, False, why)

    def _remove(self, container: ObservedContainer, why: str, *, after: Iterable[int] = ()) -> int:
        """Stop and remove; the step of the removal."""
        stopped = self._stop(container, why, after)
        step = Step(0, "remove", container.name, why=why, service=container.service, container=container.id)
        self._removed[container.id] = self._draft.add(step._replace(replica=container.number), [stopped, *after])
        return self._removed[container.id]

    def _stop(self, container: ObservedContainer, why: str, after: Iterable[int] = ()) -> int:
        """Stop it, unless the plan does so already; the step, 0 where there is nothing to stop."""
        if container.is_running and container.id not in self._stopped:
            step = Step(0, "stop", container.name, why=why, service=container.service, container=container.id)
            self._stopped[container.id] = self._draft.add(step._replace(replica=container.number), after)
            self._stops.setdefault(container.service, []).append(self._stopped[container.id])
        return self._stopped.get(container.id, 0)

    def _create(self, service: Service, number: int) -> _Replica:
        name = container_name(self._project.name, service, number)
        step = Step(0, "create", name, why="it does not exist", service=service.name, replica=number)
        created = self._draft.add(step, self._infrastructure(service))
        return _Replica(number, name, "", created, created, False)

    # --- starting

    def _start(self, service: Service) -> None:
        waiting = [one for one in self._replicas[service.name] if not one.is_running]
        before = [*self._prerequisites(service), *self._infrastructure(service)] if waiting else []
        for replica in waiting:
            step = Step(0, "start", replica.name, why=replica.why, service=service.name, replica=replica.number)
            step = step._replace(container=replica.container, made_by=replica.made_by)
            number = self._draft.add(step, [replica.ready, *before])
            self._starts.setdefault(service.name, []).append(number)

    def _prerequisites(self, service: Service) -> list[int]:
        steps: list[int] = []
        for dependency in service.dependencies:
            if dependency.service not in self._project.services:
                continue
            if dependency.condition == "service_started":
                steps += self._starts.get(dependency.service, ())
            else:
                steps.append(self._wait(dependency.service, dependency.condition, required=dependency.required))
        return steps

    def _wait(self, service: str, condition: str, *, required: bool) -> int:
        """One wait for all who wait for the same."""
        key = (service, condition, required)
        if key not in self._waits:
            name = ", ".join(one.name for one in self._replicas[service]) or service
            step = Step(0, "wait", name, service=service, condition=condition, required=required)
            self._waits[key] = self._draft.add(step, self._starts.get(service, ()))
        return self._waits[key]

    def _orphans(self) -> None:
        known = {*self._project.services, *self._project.disabled, *self._options.known}
        orphans = self._state.orphans(known)
        if self._options.remove_orphans:
            for orphan in orphans:
                self._remove(orphan, "no service of the project has it")
        elif orphans and not self._options.ignore_orphans:
            names = " ".join(sorted(one.name for one in orphans))
            self._draft.warnings.append(
                f"Found orphan containers ([{names}]) for this project. If you removed or renamed this service in your"
                " compose file, you can run this command with the --remove-orphans flag to clean it up."
            )
