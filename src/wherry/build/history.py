"""What `history` says of each step, and the headings of steps, in BuildKit's words. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.build.state import StageState
    from wherry.dockerfile import Instruction

__all__ = ["created_by", "one_line", "run_by"]


def one_line(instruction: Instruction) -> str:
    """The instruction as a heading."""
    flags = "".join(f"--{name}={value} " for name, value in instruction.flags)
    return f"{instruction.name} {flags}{instruction.text}"


def run_by(state: StageState, args: tuple[str, ...]) -> str:
    """The history of a RUN: the arguments that it saw come first, as `|N NAME=VALUE`."""
    declared = [f"{name}={value}" for name, value in state.arguments.items()]
    shown = f"|{len(declared)} {' '.join(declared)} " if declared else ""
    return f"RUN {shown}{' '.join(args)} # buildkit"


def created_by(before: StageState, after: StageState, instruction: Instruction) -> str:
    """The history of a configuring step."""
    if instruction.name == "ENV":
        added = [entry for entry in after.defaults.env if entry not in before.defaults.env]
        return f"ENV {' '.join(added or [instruction.text])}"
    if instruction.name in ("CMD", "ENTRYPOINT"):
        words = after.defaults.cmd if instruction.name == "CMD" else after.defaults.entrypoint
        quoted = " ".join(f'"{word}"' for word in words or ())
        return f"{instruction.name} [{quoted}]"
    if instruction.name == "EXPOSE":
        ports = [port for port in after.defaults.exposed_ports if port not in before.defaults.exposed_ports]
        return f"EXPOSE map[{' '.join(f'{port}:{{}}' for port in ports)}]"
    return f"{instruction.name} {instruction.text}"
