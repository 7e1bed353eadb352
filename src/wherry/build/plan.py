"""Which stages a build needs, in which order. Pure."""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple
from wherry.dockerfile import mount_source, parse_trigger
from wherry.dockerfile.expansion import expand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from wherry.dockerfile import Dockerfile, Instruction, Stage

__all__ = ["PlannedStage", "find_stage", "global_arguments", "plan_stages", "platform_arguments"]


class PlannedStage(NamedTuple):
    """A stage that has to be built: `base` is a reference, `scratch`, or empty where `parent` is another stage.

    `needs` are the numbers of all stages that must be there before it.
    """

    stage: Stage
    base: str
    parent: int | None
    title: str
    last: bool
    needs: frozenset[int] = frozenset()


def platform_arguments(architecture: str, variant: str, target: str) -> dict[str, str]:
    """The arguments that FROM knows undeclared (Dockerfile reference, automatic platform ARGs)."""
    platform = "/".join(part for part in ("linux", architecture, variant) if part)
    values = {"PLATFORM": platform, "OS": "linux", "ARCH": architecture, "VARIANT": variant}
    found = {f"{side}{name}": value for side in ("TARGET", "BUILD") for name, value in values.items()}
    return {**found, "TARGETSTAGE": target or "default"}


def global_arguments(dockerfile: Dockerfile, given: Mapping[str, str], automatic: Mapping[str, str]) -> dict[str, str]:
    """The arguments before the first FROM with their values; they reach FROM, and stages that declare them again."""
    values = dict(automatic)
    for instruction in dockerfile.arguments:
        for word in instruction.text.split():
            name, equals, default = word.partition("=")
            if name in given:
                values[name] = given[name]
            elif equals:
                values[name] = expand(default, values, dockerfile.escape)
    return values


def plan_stages(dockerfile: Dockerfile, target: str, arguments: Mapping[str, str]) -> list[PlannedStage]:
    """The stages that the target needs, each after those that it needs. Raises InvalidInput."""
    stages = dockerfile.stages
    last = find_stage(stages, target.lower(), len(stages)) if target else len(stages) - 1
    if last is None:
        raise InvalidInput(f'target stage "{target}" could not be found')
    needed: list[int] = []
    _need(dockerfile, last, arguments, needed)
    planned = []
    for number in needed:
        stage = stages[number]
        base = expand(stage.base, arguments, dockerfile.escape)
        if not base:
            raise InvalidInput(
                f"dockerfile parse error on line {stage.line}: base name ({stage.base}) should not be blank"
            )
        parent = find_stage(stages, base.lower(), number)
        named = stage.name or (f"stage-{number}" if len(needed) > 1 else "")
        needs = frozenset(_needs(dockerfile, number, arguments))
        planned.append(PlannedStage(stage, "" if parent is not None else base, parent, named, number == last, needs))
    return planned


def find_stage(stages: tuple[Stage, ...], name: str, before: int) -> int | None:
    """The number of the stage of that name (or number) among those before `before`; the latest of a name wins."""
    for stage in reversed(stages[:before]):
        if stage.name and stage.name == name:
            return stage.number
    return int(name) if name.isdigit() and int(name) < before else None


def _need(dockerfile: Dockerfile, number: int, arguments: Mapping[str, str], needed: list[int]) -> None:
    if number in needed:
        return
    for parent in _needs(dockerfile, number, arguments):
        _need(dockerfile, parent, arguments, needed)
    needed.append(number)


def _needs(dockerfile: Dockerfile, number: int, arguments: Mapping[str, str]) -> list[int]:
    """The earlier stages that a stage begins with, copies from or mounts, by its own words or its parent's ONBUILD."""
    stage = dockerfile.stages[number]
    parent = find_stage(dockerfile.stages, expand(stage.base, arguments, dockerfile.escape).lower(), number)
    names = _sources(stage.instructions)
    if parent is not None:
        names += _sources(_triggers(dockerfile.stages[parent]))
    found = [parent, *(find_stage(dockerfile.stages, name.lower(), number) for name in names)]
    return [one for one in dict.fromkeys(found) if one is not None]


def _triggers(stage: Stage) -> tuple[Instruction, ...]:
    texts = [one.text for one in stage.instructions if one.name == "ONBUILD"]
    return tuple(parse_trigger(text) for text in texts)


def _sources(instructions: tuple[Instruction, ...]) -> list[str]:
    """What COPY --from and RUN --mount=from= name."""
    found = [instruction.flag("from") for instruction in instructions if instruction.name == "COPY"]
    for instruction in instructions:
        try:
            found += [mount_source(text) for text in instruction.all_flags("mount")]
        except InvalidInput as error:
            raise InvalidInput(f"dockerfile parse error on line {instruction.line}: {error.message}") from None
    return [name for name in found if name]
