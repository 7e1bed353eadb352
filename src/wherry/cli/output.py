"""Printing lists the way Docker does: tables, `--format`, sizes and times for people."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from wherry.cli.gotemplate import Types

__all__ = ["ago", "check_format", "human_size", "print_list", "render_one", "short_id", "told"]


_JSON = "{{json .}}"


def short_id(identifier: str, *, whole: bool = False) -> str:
    """The first twelve digits, or all with the algorithm's name as it is."""
    return identifier if whole else identifier.removeprefix("sha256:")[:12]


def human_size(size: float, *, digits: int = 4) -> str:
    """Docker's decimal units with significant `digits`: `1.234MB`."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.{digits}g}{unit}"
        size /= 1000
    return ""


def ago(timestamp: int, now: int) -> str:
    """`3 hours ago`; times in nanoseconds, empty for 0."""
    from wherry.base.clock import format_duration

    return f"{format_duration((now - timestamp) / 1e9)} ago" if timestamp else "N/A"


def print_list(rows: Iterable[Mapping[str, Any]], columns: Sequence[tuple[str, str]], format: str) -> None:
    """Print rows as a table of `columns` (heading, field), as JSON lines, or by a Go template (`table` or not)."""
    values = list(rows)
    if not format or format == "table":
        _print_table([[str(value[field]) for _, field in columns] for value in values], [name for name, _ in columns])
        return
    _print_template(values, columns, _JSON if format == "json" else format)


def _print_template(values: list[Mapping[str, Any]], columns: Sequence[tuple[str, str]], format: str) -> None:
    from wherry.cli.gotemplate import Row, Template

    as_table = format.startswith("table ")
    text = format.removeprefix("table ").replace("\\t", "\t").replace("\\n", "\n")
    template = Template(text)
    lines = [template.render(Row(value)) for value in values]
    if not as_table:
        for line in lines:
            print(line)
        return
    known = {field: name for name, field in columns}
    fields = {field for value in values for field in value} | set(known)
    headings: dict[str, Any] = {field: known.get(field, field.upper()) for field in fields}
    heading = template.render(Row({**headings, "Label": lambda name: name}))
    _print_table([line.split("\t") for line in lines], heading.split("\t"))


def _print_table(rows: list[list[str]], headings: list[str]) -> None:
    """Columns padded to the widest cell and three blanks, at least ten wide in all, as Docker's tabwriter does."""
    lines = [headings, *rows]
    widths = [max(len(line[index]) for line in lines if index < len(line)) for index in range(len(headings))]
    for line in lines:
        cells = [cell.ljust(max(width + 3, 10)) for cell, width in zip(line[:-1], widths, strict=False)]
        print("".join([*cells, line[-1]]))


def check_format(format: str) -> None:
    """Raise what `render_one` would for a template that cannot be read, before anything is done."""
    if format not in ("", "text", "json"):
        from wherry.cli.gotemplate import Template

        Template(format)


def told(words: str, value: Any, format: str) -> str:
    """`words` for people, where no format is asked for (or `text`), else the value; see `render_one`."""
    return words if format in ("", "text") else render_one(value, format)


def render_one(value: Any, format: str, types: Types | None = None) -> str:
    """One value by a Go template, or as JSON for an empty format and `json`. `types`: see `Template`."""
    if not format:
        return json.dumps(value, indent=4, ensure_ascii=False)
    from wherry.cli.gotemplate import Template

    return Template(_JSON if format == "json" else format, types).render(value)
