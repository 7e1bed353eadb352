"""The instructions that change only the configuration. Pure: a state and an instruction give the next state."""

from __future__ import annotations

import re

from wherry.base.errors import InvalidInput
from wherry.dockerfile.expansion import expand, expand_words, split_pairs
from wherry.oci.config import Healthcheck

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wherry.build.state import StageState
    from wherry.dockerfile import Instruction

__all__ = ["CONFIGURING", "apply_instruction", "parse_seconds"]

_SHELL = ("/bin/sh", "-c")
_SIGNALS = frozenset(
    "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP"
    " TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ".split()
)


def shell_of(state: StageState) -> tuple[str, ...]:
    """What the shell form of RUN, CMD and ENTRYPOINT is given to."""
    return state.defaults.shell or _SHELL


def apply_instruction(
    state: StageState, instruction: Instruction, escape: str, given: Mapping[str, str], inherited: Mapping[str, str]
) -> StageState:
    """Apply a configuring instruction. `given` are --build-arg values, `inherited` the arguments before FROM."""
    if instruction.name == "ARG":
        return _arg(state, instruction, escape, given, inherited)
    return CONFIGURING[instruction.name](state, instruction, escape)


def _arg(
    state: StageState, instruction: Instruction, escape: str, given: Mapping[str, str], inherited: Mapping[str, str]
) -> StageState:
    arguments = dict(state.arguments)
    for word in expand_words(instruction.text, {**state.environment, **arguments}, escape):
        name, equals, default = word.partition("=")
        if not name:
            raise InvalidInput(f"dockerfile parse error on line {instruction.line}: ARG names cannot be blank")
        if name in given:
            arguments[name] = given[name]
        elif equals:
            arguments[name] = default
        elif name in inherited:
            arguments[name] = inherited[name]
    return state._replace(arguments=arguments)


def _env(state: StageState, instruction: Instruction, escape: str) -> StageState:
    variables = state.variables  # every value is expanded with what was there before the instruction
    pairs = _pairs(instruction, escape)
    given = {expand(name, variables, escape): expand(value, variables, escape) for name, value in pairs}
    environment = {**state.environment, **given}
    arguments = {name: value for name, value in state.arguments.items() if name not in given}
    changed = state.changed(env=tuple(f"{name}={value}" for name, value in environment.items()))
    return changed._replace(arguments=arguments)


def _pairs(instruction: Instruction, escape: str) -> list[tuple[str, str]]:
    try:
        return split_pairs(instruction.text, escape)
    except InvalidInput as error:
        words = f"{instruction.name} {error.message}" if error.message.startswith("must have") else error.message
        raise InvalidInput(f"dockerfile parse error on line {instruction.line}: {words}", hint=error.hint) from None


def _label(state: StageState, instruction: Instruction, escape: str) -> StageState:
    pairs = _pairs(instruction, escape)
    labels = {expand(name, state.variables, escape): expand(value, state.variables, escape) for name, value in pairs}
    return state.changed(labels={**state.defaults.labels, **labels})


def _expose(state: StageState, instruction: Instruction, escape: str) -> StageState:
    ports = list(state.defaults.exposed_ports)
    for word in expand_words(instruction.text, state.variables, escape):
        numbers, _, protocol = word.partition("/")
        first, _, last = numbers.partition("-")
        if not first.isdigit() or not (last or first).isdigit() or not 0 < int(first) <= int(last or first) <= 65535:
            raise InvalidInput(f"dockerfile parse error on line {instruction.line}: invalid containerPort: {word}")
        ports += [f"{port}/{(protocol or 'tcp').lower()}" for port in range(int(first), int(last or first) + 1)]
    return state.changed(exposed_ports=tuple(dict.fromkeys(ports)))


def _command(state: StageState, instruction: Instruction, _: str) -> StageState:
    return state.changed(cmd=_words(state, instruction))._replace(has_command=True)


def _entrypoint(state: StageState, instruction: Instruction, _: str) -> StageState:
    changed = state.changed(entrypoint=_words(state, instruction))
    return changed if state.has_command else changed.changed(cmd=None)


def _words(state: StageState, instruction: Instruction) -> tuple[str, ...]:
    return instruction.json if instruction.json is not None else (*shell_of(state), instruction.text)


def _user(state: StageState, instruction: Instruction, escape: str) -> StageState:
    return state.changed(user=expand(instruction.text, state.variables, escape))


def _volume(state: StageState, instruction: Instruction, escape: str) -> StageState:
    words = (
        instruction.json if instruction.json is not None else expand_words(instruction.text, state.variables, escape)
    )
    paths = [state.resolve(expand(word, state.variables, escape)) for word in words]
    return state.changed(volumes=tuple(dict.fromkeys((*state.defaults.volumes, *paths))))


def _stop_signal(state: StageState, instruction: Instruction, escape: str) -> StageState:
    text = expand(instruction.text, state.variables, escape)
    if not _is_signal(text):
        raise _bad(instruction, f"Invalid signal: {text}")
    return state.changed(stop_signal=text)


def _is_signal(text: str) -> bool:
    """A number or a name, with or without SIG, in any case; real-time signals as RTMIN+3."""
    if text.isdigit():
        return 0 < int(text) <= 64
    name = text.upper().removeprefix("SIG")
    return name in _SIGNALS or re.fullmatch(r"RTMIN(\+([1-9]|1[0-5]))?|RTMAX(-([1-9]|1[0-4]))?", name) is not None


def _shell(state: StageState, instruction: Instruction, _: str) -> StageState:
    if not instruction.json:
        raise InvalidInput(
            f"dockerfile parse error on line {instruction.line}: SHELL requires the arguments to be in JSON form"
        )
    return state.changed(shell=instruction.json)


def _onbuild(state: StageState, instruction: Instruction, _: str) -> StageState:
    word = instruction.text.split(None, 1)[0].upper()
    if word == "ONBUILD":
        raise _bad(instruction, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if word in ("FROM", "MAINTAINER"):
        raise InvalidInput(
            f"dockerfile parse error on line {instruction.line}: {word} isn't allowed as an ONBUILD trigger"
        )
    return state.changed(on_build=(*state.defaults.on_build, instruction.text))


def _maintainer(state: StageState, instruction: Instruction, _: str) -> StageState:
    return state._replace(config=state.config._replace(author=instruction.text))


def _healthcheck(state: StageState, instruction: Instruction, _: str) -> StageState:
    kind, _, rest = instruction.text.partition(" ")
    if kind.upper() == "NONE" and rest.strip():
        raise _bad(instruction, "HEALTHCHECK NONE takes no arguments")
    if kind.upper() == "NONE":
        return state.changed(healthcheck=Healthcheck(("NONE",)))
    if kind.upper() != "CMD" or not rest.strip():
        raise InvalidInput(
            f'dockerfile parse error on line {instruction.line}: Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)'
        )
    test = ("CMD", *instruction.json) if instruction.json is not None else ("CMD-SHELL", rest.strip())
    times = {name: _interval(instruction, name) for name in ("interval", "timeout", "start-period", "start-interval")}
    return state.changed(
        healthcheck=Healthcheck(
            test,
            times["interval"],
            times["timeout"],
            times["start-period"],
            times["start-interval"],
            _retries(instruction),
        )
    )


def _interval(instruction: Instruction, name: str) -> int:
    """A time that a flag gives, in nanoseconds: none, or at least a millisecond."""
    try:
        value = parse_seconds(instruction.flag(name))
    except InvalidInput as error:
        raise _bad(instruction, error.message) from None
    if 0 < value < 1_000_000:
        raise _bad(instruction, f'Interval "{name}" cannot be less than 1ms')
    return value


def _retries(instruction: Instruction) -> int:
    text = instruction.flag("retries", "0")
    if not text.isdigit():
        raise _bad(instruction, f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _bad(instruction: Instruction, why: str) -> InvalidInput:
    return InvalidInput(f"dockerfile parse error on line {instruction.line}: {why}")


def parse_seconds(text: str) -> int:
    """A Go duration in nanoseconds; 0 for empty."""
    units = {
        "ns": 1,
        "us": 1_000,
        "µs": 1_000,
        "ms": 1_000_000,
        "s": 1_000_000_000,
        "m": 60_000_000_000,
        "h": 3_600_000_000_000,
    }
    if not re.fullmatch(r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))*", text):
        raise InvalidInput(f'time: invalid duration "{text}"')
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", text)
    return round(sum(float(number) * units[unit] for number, unit in parts))


CONFIGURING: dict[str, Callable[[StageState, Instruction, str], StageState]] = {
    "CMD": _command,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
}
