"""`compose exec`, `run` and `attach`: being in a container, or making one for a single command."""

from __future__ import annotations

import os

from wherry.base.errors import Conflict
from wherry.cli import mountflags, parsing
from wherry.cli.composing import chosen_containers, hold, warn
from wherry.cli.flags import Command, Flag
from wherry.cli.ports import parse_ports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.cli.composing import Invocation
    from wherry.cli.flags import Parsed
    from wherry.compose import Project, Service
    from wherry.compose.engine import ComposeEngine, ContainerWish
    from wherry.compose.state import ObservedContainer, State
    from wherry.engine.request import ContainerRequest
    from wherry.runtime.attachment import Attachment

__all__ = ["run"]

_INDEX = Flag("index", "int", "Number of the container, where the service has several")


def run(invocation: Invocation, argv: list[str]) -> int:
    """One of them."""
    verbs: dict[str, Callable[[Invocation, list[str]], int]] = {
        "exec": _exec,
        "run": _run,
        "attach": _attach,
    }
    return verbs[argv[0]](invocation, argv[1:])


def _running(invocation: Invocation, engine: ComposeEngine, service: str, index: int) -> ObservedContainer:
    found = chosen_containers(invocation, engine, [service], index=index)
    running = [one for one in found if one.is_running]
    if running:
        return running[0]
    which = f" #{index}" if index else ""
    raise Conflict(f'service "{service}" is not running container{which}', hint="start it: wherry compose up -d")


def _exec(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("detach", "bool", "Run the command in the background", short="d"),
        Flag("env", "list", "Set an environment variable", short="e"),
        _INDEX,
        Flag("interactive", "bool", "Keep the input open", short="i", default=True),
        Flag("no-tty", "bool", "Give the command no terminal", short="T"),
        Flag("no-TTY", "bool", "The same"),
        Flag("privileged", "bool", "Give all privileges that this machine can give"),
        Flag("tty", "bool", "Give the command a terminal", short="t", default=True),
        Flag("user", "str", "User (name or number, with :group)", short="u"),
        Flag("workdir", "str", "Working directory", short="w"),
    )
    usage = "[OPTIONS] SERVICE COMMAND [ARGS...]"
    summary = "Execute a command in a running container"
    parsed = Command("wherry compose exec", usage, summary, flags, least=2, interspersed=False).parse(argv)
    from wherry.engine.request import ExecRequest

    engine = invocation.engine()
    service, *words = parsed.args
    one = _running(invocation, engine, service, parsed["index"])
    request = ExecRequest(
        command=tuple(words),
        environment=parsing.parse_environment(parsed["env"], []),
        working_dir=parsed["workdir"],
        user=parsed["user"],
        tty=_wants_terminal(parsed) and not parsed["detach"],
        stdin_open=parsed["interactive"] and not parsed["detach"],
        detached=parsed["detach"],
        privileged=parsed["privileged"],
    )
    if invocation.dry_run:
        print(f"DRY-RUN MODE -  Container {one.name}  Execute {' '.join(words)}")
        return 0
    return engine.execute(one.id, request)


def _wants_terminal(parsed: Parsed) -> bool:
    """As Compose: unless told otherwise, where there is one on both sides."""
    denied = parsed["no-tty"] or parsed["no-TTY"] or not parsed.get("tty", True)
    return not denied and os.isatty(0) and os.isatty(1)


def _attach(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("detach-keys", "str", "Key sequence for detaching"),
        _INDEX,
        Flag("no-stdin", "bool", "Do not pass input on"),
        Flag("sig-proxy", "bool", "Pass signals on", default=True),
    )
    usage = "[OPTIONS] SERVICE"
    parsed = Command("wherry compose attach", usage, "Attach to a service", flags, least=1, most=1).parse(argv)
    engine = invocation.engine()
    one = _running(invocation, engine, parsed.args[0], parsed["index"])
    code = _stay(engine.attach, engine, one.id, parsed, stdin=not parsed["no-stdin"], tty=os.isatty(0))
    return 0 if code is None else code


# --- run

_RUN_FLAGS = (
    Flag("build", "bool", "Build the image before starting the container"),
    Flag("cap-add", "list", "Add a capability"),
    Flag("cap-drop", "list", "Drop a capability"),
    Flag("detach", "bool", "Run the container in the background and print its name", short="d"),
    Flag("entrypoint", "str", "Override the entrypoint of the image"),
    Flag("env", "list", "Set an environment variable", short="e"),
    Flag("env-from-file", "list", "Read environment variables from a file"),
    Flag("interactive", "bool", "Keep the input open", short="i", default=True),
    Flag("label", "list", "Set a label", short="l"),
    Flag("name", "str", "Name of the container"),
    Flag("no-deps", "bool", "Do not start linked services"),
    Flag("no-tty", "bool", "Give the command no terminal", short="T"),
    Flag("no-TTY", "bool", "The same"),
    Flag("publish", "list", "Publish a port", short="p"),
    Flag("pull", "str", "Pull the image before running (always, missing, never)"),
    Flag("quiet", "bool", "Print nothing of our own", short="q"),
    Flag("quiet-build", "bool", "Build without progress"),
    Flag("quiet-pull", "bool", "Pull without progress"),
    Flag("remove-orphans", "bool", "Remove containers of services that the Compose file does not have"),
    Flag("rm", "bool", "Remove the container when it ends"),
    Flag("service-ports", "bool", "Publish the ports of the service", short="P"),
    Flag("tty", "bool", "Give the command a terminal", short="t", default=True),
    Flag("use-aliases", "bool", "Use the service's network aliases"),
    Flag("user", "str", "User (name or number, with :group)", short="u"),
    Flag("volume", "list", "Mount a volume", short="v"),
    Flag("workdir", "str", "Working directory", short="w"),
)


def _run(invocation: Invocation, argv: list[str]) -> int:
    usage = "[OPTIONS] SERVICE [COMMAND] [ARGS...]"
    summary = "Run a one-off command on a service"
    parsed = Command("wherry compose run", usage, summary, _RUN_FLAGS, least=1, interspersed=False).parse(argv)
    from wherry.compose.project import select, without_unused

    name = parsed.args[0]
    whole = invocation.project([name])
    project = without_unused(select(whole, [name]))
    engine = invocation.engine()
    if invocation.dry_run:
        print(f"DRY-RUN MODE -  Container {project.name}-{name}-run  Create and start")
        return 0
    with hold(engine, project.name):
        state = _prepare(invocation, parsed, engine, project, whole)
        identifier = engine.create(_one_off(project, project.services[name], parsed, state))
    return _start(engine, identifier, parsed)


def _prepare(invocation: Invocation, parsed: Parsed, engine: ComposeEngine, project: Project, whole: Project) -> State:
    """Images, networks, volumes and what the service depends on; the state then."""
    from wherry.compose.building import plan_images
    from wherry.compose.converging import carry_out, ensure_images, observe
    from wherry.compose.plan import UpOptions, plan_up

    target = parsed.args[0]
    sink = invocation.sink(quiet=parsed["quiet"])
    wanted = project if not parsed["no-deps"] else project._replace(services={target: project.services[target]})
    present = engine.image_ids([one.image_name(project.name) for one in wanted.services.values()])
    images = plan_images(wanted, present, pull=parsed["pull"])
    if parsed["build"] and wanted.services[target].get("build") is not None:
        images = images._replace(build=tuple(dict.fromkeys([*images.build, target])))
    building = invocation.sink(quiet=True) if parsed["quiet-build"] else sink
    ensure_images(engine, wanted, images, building, quiet_pull=parsed["quiet-pull"])
    others = wanted._replace(services={name: one for name, one in wanted.services.items() if name != target})
    state = observe(engine, project.name, wanted)
    known = tuple({*whole.services, *whole.disabled})
    options = UpOptions(known=known, remove_orphans=parsed["remove-orphans"])
    carry_out(engine, others, state, plan_up(others, state, options), sink, invocation.apply_options())
    _wait_for_dependencies(engine, others, project.services[target])
    return observe(engine, project.name, wanted)


def _wait_for_dependencies(engine: ComposeEngine, project: Project, service: Service) -> None:
    from wherry.base.errors import WherryError
    from wherry.compose.waiting import wait_for

    for dependency in service.dependencies:
        if dependency.service not in project.services or dependency.condition == "service_started":
            continue
        try:
            wait_for(engine, project, dependency.service, dependency.condition)
        except WherryError as error:
            if dependency.required:
                raise
            warn(f"optional dependency: {error.message}")


def _one_off(project: Project, service: Service, parsed: Parsed, state: State) -> ContainerWish:
    from wherry.compose import labels as label
    from wherry.compose.files import file_wishes
    from wherry.compose.hashing import service_hash
    from wherry.compose.requests import Making, check_supported, container_wish

    for warning in check_supported(service):
        warn(warning)
    slug = os.urandom(6).hex()
    image_id = state.images.get(service.image_name(project.name), "")
    labels = label.container_labels(
        project, service, number=1, config_hash=service_hash(service), image_id=image_id, slug=slug
    )

    def container_of(name: str) -> str:
        found = state.of_service(name)
        if not found:
            raise Conflict(f'the service "{name}" has no container to join')
        return found[0].id

    name = parsed["name"] or f"{project.name}-{service.name}-run-{slug}"
    files = file_wishes(project, service)
    making = Making(name, 1, labels, container_of, files=files, use_aliases=parsed["use-aliases"])
    wish = container_wish(project, service, making)
    return wish._replace(request=_changed(wish.request, parsed))


def _changed(request: ContainerRequest, parsed: Parsed) -> ContainerRequest:
    """The service's container with what the command line says otherwise."""
    import shlex

    from wherry.engine.request import RestartPolicy

    command, entrypoint = tuple(parsed.args[1:]) or request.command, request.entrypoint
    if "entrypoint" in parsed.given:
        command, entrypoint = tuple(parsed.args[1:]), tuple(shlex.split(parsed["entrypoint"]))
    ports = request.ports if parsed["service-ports"] else ()
    for text in parsed["publish"]:
        ports = (*ports, *parse_ports(text))
    mounts = [mountflags.parse_volume(text) for text in parsed["volume"]]
    targets = {mount.target for mount in mounts}
    return request._replace(
        command=command,
        entrypoint=entrypoint,
        environment=(*request.environment, *parsing.parse_environment(parsed["env"], parsed["env-from-file"])),
        labels={**request.labels, **parsing.parse_labels(parsed["label"], ())},
        user=parsed["user"] or request.user,
        working_dir=parsed["workdir"] or request.working_dir,
        ports=ports,
        mounts=(*(mount for mount in request.mounts if mount.target not in targets), *mounts),
        cap_add=(*request.cap_add, *parsed["cap-add"]),
        cap_drop=(*request.cap_drop, *parsed["cap-drop"]),
        tty=_wants_terminal(parsed) and not parsed["detach"],
        stdin_open=parsed["interactive"],
        detached=parsed["detach"],
        auto_remove=parsed["rm"],
        restart=RestartPolicy() if parsed["rm"] else request.restart,
    )


def _start(engine: ComposeEngine, identifier: str, parsed: Parsed) -> int:
    if parsed["detach"]:
        engine.start(identifier)
        one = engine.container(identifier)
        print(one.name if one is not None else identifier)
        return 0
    tty = _wants_terminal(parsed)
    try:
        code = _stay(engine.run_attached, engine, identifier, parsed, stdin=parsed["interactive"], tty=tty)
    except BaseException:
        if parsed["rm"]:
            engine.remove(identifier, volumes=True)
        raise
    return 0 if code is None else code


def _stay(
    attach: Callable[..., int | None],
    engine: ComposeEngine,
    identifier: str,
    parsed: Parsed,
    *,
    stdin: bool,
    tty: bool,
) -> int | None:
    """Be with the container on this process's terminal, passing signals on."""
    from wherry.cli.terminal import Terminal, parse_detach_keys, proxy_signals
    from wherry.engine.containers import Streams

    keys = parse_detach_keys(parsed.get("detach-keys", "")) if tty and stdin else b""
    with Terminal() as terminal:

        def started(_: str, attachment: Attachment) -> None:
            if parsed.get("sig-proxy", True):
                proxy_signals(lambda name: engine.kill(identifier, name), terminal=tty)
            if tty:
                terminal.take(attachment, raw=stdin)

        return attach(identifier, Streams(0 if stdin else None, detach_keys=keys, started=started))
