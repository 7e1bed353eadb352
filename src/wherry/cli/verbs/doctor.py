"""`doctor`."""

from __future__ import annotations

import os
import sys

from wherry.base.paths import Layout
from wherry.cli.flags import Command, Flag
from wherry.cli.output import print_list

__all__ = ["run"]

_FLAGS = (
    Flag("fix", "bool", "Install what is missing with the machine's package manager"),
    Flag("format", "str", "table, json, or a Go template"),
    Flag("quiet", "bool", "Print nothing; the exit code says whether everything needed is there", short="q"),
)


def run(argv: list[str]) -> int:
    """Say what is there; 1 where something that is needed is missing."""
    from wherry.engine.doctor import examine, install

    summary = "Say which parts the machine has, and install what is missing"
    parsed = Command("wherry doctor", "[OPTIONS]", summary, _FLAGS, most=0).parse(argv[1:])
    layout = Layout.from_environment(os.environ, os.geteuid())
    checks = examine(layout)
    if parsed["fix"]:
        install(checks, lambda words: print(words, file=sys.stderr))
        checks = examine(layout)
    if not parsed["quiet"]:
        rows = [
            {
                "Part": check.name,
                "State": check.state,
                "Detail": check.detail,
                "Purpose": check.purpose,
                "Package": " or ".join(dict.fromkeys(check.packages.values())) or "-",
            }
            for check in checks
        ]
        columns = [
            ("PART", "Part"),
            ("STATE", "State"),
            ("DETAIL", "Detail"),
            ("FOR", "Purpose"),
            ("PACKAGE", "Package"),
        ]
        print_list(rows, columns, parsed["format"])
    missing = [check.name for check in checks if check.state == "missing"]
    if missing and not parsed["quiet"]:
        print(f"missing: {', '.join(missing)}; `wherry doctor --fix` installs what packages have", file=sys.stderr)
    return 1 if missing else 0
