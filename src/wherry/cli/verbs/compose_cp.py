"""`compose cp`: `cp`, with a service in place of a container."""

from __future__ import annotations

import sys

from wherry.base.errors import InvalidInput, NotFound
from wherry.cli.composing import chosen_containers
from wherry.cli.flags import Command, Flag
from wherry.cli.verbs.cp import FLAGS, check_local_target, input_archive, split_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.composing import Invocation
    from wherry.cli.flags import Parsed
    from wherry.compose.state import ObservedContainer
    from wherry.engine.containerfiles import ContainerFiles

__all__ = ["run"]

_OWN = (
    Flag("all", "bool", "Include containers created by the run command"),
    Flag("index", "int", "Number of the container (to a service: all of them; from a service: the first)"),
)


def run(invocation: Invocation, argv: list[str]) -> int:
    """Copy from one container of a service, or to all of them."""
    usage = "[OPTIONS] SERVICE:SRC_PATH DEST_PATH|-\n       wherry compose cp [OPTIONS] SRC_PATH|- SERVICE:DEST_PATH"
    summary = "Copy files/folders between a service container and the local filesystem"
    command = Command("wherry compose cp", usage, summary, (*FLAGS, *_OWN), least=2, most=2)
    parsed = command.parse(argv[1:])
    (source, path), (target, place) = (split_place(text) for text in parsed.args)
    if source and target:
        raise InvalidInput("copying between services is not supported", hint="copy to a file here, then from it")
    if not source and not target:
        raise InvalidInput("unknown copy direction", hint="write SERVICE:PATH on one side")
    engine = invocation.engine()
    wanted = [source or target]
    found = chosen_containers(invocation, engine, wanted, one_off=parsed["all"], index=parsed["index"])
    if not found:
        raise NotFound(f'no container found for service "{wanted[0]}"', hint="make it: wherry compose create")
    if invocation.dry_run:
        for one in found[:1] if source else found:
            print(f"DRY-RUN MODE -  Container {one.name}  Copy {parsed.args[0]} to {parsed.args[1]}")
        return 0
    if source:
        return _from(engine.files(), found[0], path, parsed)
    return _to(engine.files(), found, place, parsed)


def _from(files: ContainerFiles, one: ObservedContainer, path: str, parsed: Parsed) -> int:
    target = parsed.args[1]
    if target == "-":
        from wherry.base.files import write_all

        files.read_from(one.id, path, lambda data: write_all(1, data), follow=parsed["follow-link"])
        return 0
    check_local_target(target)
    files.copy_from(one.id, path, target, follow=parsed["follow-link"])
    _tell(f"{one.name}:{path} to {target}")
    return 0


def _to(files: ContainerFiles, containers: list[ObservedContainer], place: str, parsed: Parsed) -> int:
    source = parsed.args[0]
    if source == "-":
        if len(containers) > 1:
            raise InvalidInput("an archive can be copied to one container alone", hint="choose it with --index")
        files.write_to(containers[0].id, place, input_archive(), archive=parsed["archive"])
        return 0
    for one in containers:
        files.copy_to(one.id, place, source, follow=parsed["follow-link"], archive=parsed["archive"])
        _tell(f"{source} to {one.name}:{place}")
    return 0


def _tell(what: str) -> None:
    print(f"Copied {what}", file=sys.stderr)
