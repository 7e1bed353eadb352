"""The canonical model as text, as `docker compose config` prints it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.compose.model import Project

__all__ = ["canonical_model", "escape_dollars", "to_json", "to_yaml"]


def canonical_model(project: Project) -> dict[str, Any]:
    """The project as plain values, in the order in which they are printed."""
    model: dict[str, Any] = {"name": project.name}
    model["services"] = {name: service.config for name, service in sorted(project.services.items())}
    for section in ("networks", "volumes", "secrets", "configs", "models"):
        resources = getattr(project, section)
        if resources:
            model[section] = {name: resources[name] for name in sorted(resources)}
    model.update(project.extensions)
    return model


def escape_dollars(text: str) -> str:
    """The printed model with its dollar signs doubled, so that reading it again gives the same values."""
    return text.replace("$", "$$")


def to_json(model: dict[str, Any]) -> str:
    """JSON with two blanks of indentation; commands are null where the image's applies, as Compose prints them."""
    import json

    services = {name: {"command": None, "entrypoint": None, **service} for name, service in model["services"].items()}
    return json.dumps({**model, "services": services}, indent=2, ensure_ascii=False) + "\n"


def to_yaml(model: dict[str, Any]) -> str:
    """Block style with indented lists; text that looks like something else is in double quotes."""
    import yaml

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        def increase_indent(self, flow: bool = False, **_: bool) -> None:
            super().increase_indent(flow, False)

        def ignore_aliases(self, _: Any) -> bool:
            return True

    def represent_text(dumper: Any, text: str) -> Any:
        if "\n" in text:
            return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
        plain = dumper.resolve(yaml.ScalarNode, text, (True, False)) == "tag:yaml.org,2002:str"
        looks_typed = not plain or _looks_typed(text)
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if looks_typed else None)

    Dumper.add_representer(str, represent_text)
    return str(yaml.dump(model, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=2**31))


def _looks_typed(text: str) -> bool:
    """Whether Compose's own reader would take the bare text for something other than text."""
    from wherry.compose.document import resolve_scalar

    return not isinstance(resolve_scalar(text), str)
