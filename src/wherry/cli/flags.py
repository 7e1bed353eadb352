"""Command lines as Docker reads them (pflag's rules), because scripts written for Docker are to work unchanged.

`--flag value`, `--flag=value`, `-f value`, `-fvalue`, `-f=value`, joined switches (`-itd`), switches with a value
(`--rm=false`), repeatable flags, `--` as the end of flags. Where `interspersed` is off (run, exec, create), flags end
at the first positional argument. Imports nothing, because every command begins here.
"""

from __future__ import annotations

from wherry.base.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["Command", "Flag", "Help", "Misuse", "Parsed"]

_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


class Help(Exception):  # noqa: N818 (not an error)
    """The user asked for help; the text is the argument."""


class Misuse(UsageError):
    """A wrong count of arguments, an unknown verb, no terminal where one is needed: exit code 1 for every verb."""


class Flag:
    """One flag. `kind` is bool, str, int or list; `unsupported` says why it is refused."""

    def __init__(
        self, long: str, kind: str, help: str, *, short: str = "", default: Any = None, unsupported: str = ""
    ) -> None:
        self.long = long
        self.kind = kind
        self.help = help
        self.short = short
        self.unsupported = unsupported
        self.default = {"bool": False, "str": "", "int": 0, "list": []}[kind] if default is None else default


class Parsed:
    """What was given: `args` are the positional arguments; flags are read with `[]`, `given` tells which were set."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values
        self.args: list[str] = []
        self.given: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def get(self, name: str, default: Any) -> Any:
        """As `[]`, or `default` where the command has no such flag."""
        return self._values.get(name, default)

    def set(self, flag: Flag, value: str, shown: str) -> None:
        """Take a value as text. Raises UsageError in Docker's words."""
        if flag.unsupported:
            from wherry.base.errors import Unsupported

            raise Unsupported(f"--{flag.long} is not supported: {flag.unsupported}")
        if flag.kind == "list":
            if flag.long not in self.given:
                self._values[flag.long] = []
            self._values[flag.long].append(value)
        else:
            self._values[flag.long] = _convert(flag, value, shown)
        self.given.add(flag.long)


def _convert(flag: Flag, value: str, shown: str) -> Any:
    if flag.kind == "bool":
        if value in _TRUE or value in _FALSE:
            return value in _TRUE
        raise UsageError(
            f'invalid argument "{value}" for "{shown}" flag: strconv.ParseBool: parsing "{value}": invalid syntax'
        )
    if flag.kind == "int":
        try:
            return int(value)
        except ValueError:
            raise UsageError(
                f'invalid argument "{value}" for "{shown}" flag: strconv.ParseInt: parsing "{value}": invalid syntax'
            ) from None
    return value


class Command:
    """A verb's grammar: its flags, how many positional arguments it takes, and its help."""

    def __init__(
        self,
        path: str,
        usage: str,
        summary: str,
        flags: Sequence[Flag] = (),
        *,
        least: int = 0,
        most: int | None = None,
        interspersed: bool = True,
    ) -> None:
        self.path = path
        self.usage = usage
        self.summary = summary
        self.flags = flags
        self.least = least
        self.most = most
        self.interspersed = interspersed

    def parse(self, argv: Sequence[str]) -> Parsed:
        """Raises UsageError, or Help where that was asked for."""
        parsed = Parsed({flag.long: flag.default for flag in self.flags})
        long = {flag.long: flag for flag in self.flags}
        short = {flag.short: flag for flag in self.flags if flag.short}
        rest = list(argv)
        while rest:
            argument = rest.pop(0)
            if argument == "--":
                parsed.args += rest
                break
            if argument.startswith("--"):
                self._long(argument, rest, long, parsed)
            elif argument.startswith("-") and argument != "-":
                self._short(argument, rest, short, parsed)
            else:
                parsed.args.append(argument)
                if not self.interspersed:
                    parsed.args += rest
                    break
        self._check_count(parsed.args)
        return parsed

    def _long(self, argument: str, rest: list[str], flags: dict[str, Flag], parsed: Parsed) -> None:
        name, equals, value = argument[2:].partition("=")
        if name == "help" and name not in flags:
            raise Help(self.help())
        flag = flags.get(name)
        if flag is None:
            raise self._usage(f"unknown flag: --{name}")
        shown = f"-{flag.short}, --{name}" if flag.short else f"--{name}"
        if equals:
            parsed.set(flag, value, shown)
        elif flag.kind == "bool":
            parsed.set(flag, "true", shown)
        elif not rest:
            raise self._usage(f"flag needs an argument: --{name}")
        else:
            parsed.set(flag, rest.pop(0), shown)

    def _short(self, argument: str, rest: list[str], flags: dict[str, Flag], parsed: Parsed) -> None:
        letters = argument[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter == "h" and letter not in flags:
                raise Help(self.help())
            flag = flags.get(letter)
            if flag is None:
                raise self._usage(f"unknown shorthand flag: '{letter}' in {argument}")
            shown = f"-{flag.short}, --{flag.long}"
            if flag.kind == "bool" and not letters.startswith("="):
                parsed.set(flag, "true", shown)
                continue
            if not letters and not rest:
                raise self._usage(f"flag needs an argument: '{letter}' in {argument}")
            value = letters.removeprefix("=") if letters else rest.pop(0)
            parsed.set(flag, value, shown)
            return

    def _check_count(self, args: list[str]) -> None:
        if len(args) >= self.least and (self.most is None or len(args) <= self.most):
            return
        exact = self.least == self.most
        wanted = self.least if exact or len(args) < self.least else self.most or 0
        how = "exactly" if exact else "at least" if len(args) < self.least else "at most"
        what = f"{how} {wanted} argument{'' if wanted == 1 else 's'}" if wanted else "no arguments"
        message = f'"{self.path}" {"requires" if wanted else "accepts"} {what}.'
        raise Misuse(message, hint=self._hint())

    def _usage(self, message: str) -> UsageError:
        return UsageError(message, hint=self._hint())

    def _hint(self) -> str:
        return f"See '{self.path} --help'."

    def help(self) -> str:
        """The text of `--help`."""
        lines = [f"Usage:  {self.path} {self.usage}".rstrip(), "", self.summary]
        if self.flags:
            lines += ["", "Options:"]
            rows = [(_heading(flag), flag) for flag in sorted(self.flags, key=lambda flag: flag.long)]
            width = max(len(heading) for heading, _ in rows) + 3
            lines += [
                f"{heading:<{width}}{flag.help}" + (" (not supported)" if flag.unsupported else "")
                for heading, flag in rows
            ]
        return "\n".join(lines)


def _heading(flag: Flag) -> str:
    name = f"  -{flag.short}, --{flag.long}" if flag.short else f"      --{flag.long}"
    return name + {"bool": "", "str": " string", "int": " int", "list": " list"}[flag.kind]
