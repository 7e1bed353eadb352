"""What an operation is to bring about, and what there was before it, as one value that is kept with the operation."""

from __future__ import annotations

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Wish", "decode_wish"]


class Wish(NamedTuple):
    """`size` instances of `revision`. `before` and `before_size` are what to go back to (0 for nothing).

    `batch` is a number of instances; `percent` of the requests go to a version on trial for `evaluation` seconds.
    `release`, `predeploy`, `postdeploy` say whether the version has such steps, `hooks` how the phases of the hooks
    begin that are meant. `hosts` are pairs of environment and host, for a swap, and `before_hosts` those before it.
    `deployment` is its number, 0 for what is none.
    """

    revision: int = 0
    version: str = ""
    size: int = 0
    before: int = 0
    before_version: str = ""
    before_size: int = 0
    deployment: int = 0
    policy: str = "rolling-additional"
    batch: int = 1
    percent: float = 10.0
    evaluation: float = 300.0
    release: bool = False
    predeploy: bool = False
    postdeploy: bool = False
    hooks: str = ""
    accessories: bool = False
    replace_accessories: bool = False
    volumes: bool = False
    hosts: tuple[tuple[str, str], ...] = ()
    before_hosts: tuple[tuple[str, str], ...] = ()
    undoes: bool = True  # whether it is taken back by itself where it fails


def decode_wish(values: dict[str, Any]) -> Wish:
    """The wish whose `_asdict` went through JSON."""
    pairs = {name: tuple((one, two) for one, two in values.get(name, ())) for name in ("hosts", "before_hosts")}
    return Wish(**{**values, **pairs})
