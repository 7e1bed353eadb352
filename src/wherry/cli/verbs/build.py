"""`build`."""

from __future__ import annotations

import os
import sys

from wherry.base.errors import InvalidInput, NotFound
from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.build import BuildRequest, Secret
    from wherry.cli.flags import Parsed

__all__ = ["request_of", "run"]

_LATER = "it is not supported yet"
_LARGEST_SECRET = 500 * 1024  # bytes, as BuildKit's
_FLAGS = (
    Flag("add-host", "list", "Add a name to /etc/hosts while steps run (name:address)"),
    Flag("base-fallback", "str", "What serves for a base that cannot be fetched (none, distro)"),
    Flag("build-arg", "list", "Set an argument (name=value, or name for this process's value)"),
    Flag("build-context", "list", "Replace a base or a COPY --from (name=docker-image://REF or name=DIRECTORY)"),
    Flag("ca-bundle", "str", "CA certificates that steps see while they run (a file, host, or none)", default="host"),
    Flag("cache-from", "list", "External caches", unsupported=_LATER),
    Flag("cache-to", "list", "External caches", unsupported=_LATER),
    Flag("file", "str", "The Dockerfile (- for standard input)", short="f"),
    Flag("force-rm", "bool", "Remove what a failed step left (always done)"),
    Flag("iidfile", "str", "Write the image's identifier to this file"),
    Flag("label", "list", "Set a label"),
    Flag("load", "bool", "Put the image into the store (always done)"),
    Flag("network", "str", "Network of RUN steps (default, none, host)", default="default"),
    Flag("no-cache", "bool", "Do not use the cache"),
    Flag("output", "list", "Where the result goes", short="o", unsupported="the image goes to the store"),
    Flag("platform", "str", "Platform of the result"),
    Flag("progress", "str", "How progress is shown (auto, plain, tty)", default="auto"),
    Flag("pull", "bool", "Always look for newer bases"),
    Flag("push", "bool", "Push the result", unsupported=_LATER),
    Flag("quiet", "bool", "Print only the image's identifier", short="q"),
    Flag("rm", "bool", "Remove what steps left (always done)", default=True),
    Flag("secret", "list", "A secret for steps (id=NAME,src=FILE or id=NAME,env=VARIABLE)"),
    Flag("shm-size", "str", "Size of /dev/shm while steps run"),
    Flag("ssh", "list", "SSH agents for steps", unsupported="give steps what they need as secrets"),
    Flag("tag", "list", "Name of the image (name:tag)", short="t"),
    Flag("target", "str", "Stage to build"),
)


_COMMAND = Command("wherry build", "[OPTIONS] PATH | -", "Build an image from a Dockerfile", _FLAGS, least=1, most=1)


def request_of(argv: list[str]) -> BuildRequest:
    """What a command line (without the verb) asks for."""
    return _request(_COMMAND.parse(argv))


def run(argv: list[str]) -> int:
    """Build an image from a directory and its Dockerfile."""
    parsed = _COMMAND.parse(argv[1:])
    if parsed["progress"] not in ("auto", "plain", "tty"):
        raise InvalidInput(f"invalid progress mode: {parsed['progress']}", hint="auto, plain or tty")
    request = _request(parsed)
    from wherry.base.progress import nobody
    from wherry.build import build
    from wherry.build.bases import stand_in
    from wherry.cli.progress import choose

    opened = engine()
    sink = nobody if parsed["quiet"] else choose(parsed["progress"], sys.stderr)
    fallback = None
    if request.base_fallback == "distro":

        def fallback(name: str):  # type: ignore[no-untyped-def]
            return stand_in(opened, name, sink, ca_bundle=request.ca_bundle)

    result = build(opened, request, sink, fallback)
    if parsed["iidfile"]:
        with open(parsed["iidfile"], "w", encoding="ascii") as file:
            file.write(result.image_id)
    if parsed["quiet"]:
        print(result.image_id)
    else:
        for line in (
            f"Successfully built {result.image_id[7:19]}",
            *(f"Successfully tagged {n}" for n in result.names),
        ):
            print(line, file=sys.stderr)
    return 0


def _request(parsed: Parsed) -> BuildRequest:
    from wherry.base.config import load_configuration
    from wherry.build import BuildRequest
    from wherry.build.definition import ca_bundle
    from wherry.cli.parsing import parse_labels, parse_size

    configuration = load_configuration(os.environ)
    context, dockerfile, ignore = _definition(parsed.args[0], parsed["file"])
    fallback = parsed["base-fallback"] or configuration.base_fallback
    if fallback not in ("none", "distro"):
        raise InvalidInput(f"invalid --base-fallback: {fallback}", hint="none or distro")
    if parsed["network"] not in ("default", "none", "host"):
        raise InvalidInput(f"invalid --network for a build: {parsed['network']}", hint="default, none or host")
    bundle = parsed["ca-bundle"] if "ca-bundle" in parsed.given else configuration.ca_bundle
    return BuildRequest(
        dockerfile=dockerfile,
        context=context,
        ignore=ignore,
        tags=tuple(parsed["tag"]),
        build_args=_arguments(parsed["build-arg"]),
        labels=parse_labels(parsed["label"], ()),
        target=parsed["target"],
        no_cache=parsed["no-cache"],
        pull=parsed["pull"],
        network=parsed["network"],
        build_contexts=_contexts(parsed["build-context"]),
        base_fallback=fallback,
        platform=parsed["platform"],
        add_hosts=tuple(parsed["add-host"]),
        ca_bundle=ca_bundle(bundle),
        secrets=_secrets(parsed["secret"]),
        shm_size=parse_size(parsed["shm-size"]) if parsed["shm-size"] else 67_108_864,
    )


def _arguments(given: list[str]) -> dict[str, str]:
    arguments = {}
    for text in given:
        name, equals, value = text.partition("=")
        if equals:
            arguments[name] = value
        elif name in os.environ:
            arguments[name] = os.environ[name]
    return arguments


def _secrets(given: list[str]) -> dict[str, Secret]:
    """`id=NAME[,src=FILE|,env=VARIABLE]`; with neither, the variable NAME if it is set, else the file NAME."""
    from wherry.build import Secret

    secrets = {}
    for text in given:
        fields = _secret_fields(text)
        name, path, variable = fields.get("id", ""), fields.get("src", ""), fields.get("env", "")
        if not name:
            raise InvalidInput(f"secret missing ID: {text}", hint="--secret id=NAME,src=FILE")
        if fields.get("type") == "env":
            path, variable = "", variable or path
        if not path and not variable:
            path, variable = ("", name) if name in os.environ else (name, "")
        if variable and variable not in os.environ:
            raise NotFound(f"environment variable {variable} not found, for the secret {name}")
        if variable:
            secrets[name] = Secret(value=os.environb[os.fsencode(variable)])
        else:
            secrets[name] = Secret(_secret_file(name, path))
    return secrets


def _secret_fields(text: str) -> dict[str, str]:
    fields = {}
    for field in text.split(","):
        key, equals, value = field.partition("=")
        key = {"source": "src"}.get(key.lower(), key.lower())
        if not equals:
            raise InvalidInput(f"invalid field '{field}' must be a key=value pair")
        if key not in ("id", "src", "env", "type"):
            raise InvalidInput(f"unexpected key '{key}' in '{field}'")
        if key == "type" and value not in ("file", "env"):
            raise InvalidInput(f'unsupported secret type "{value}"', hint="it is file or env")
        fields[key] = value
    return fields


def _secret_file(name: str, path: str) -> str:
    try:
        size = os.stat(path).st_size
    except OSError as error:
        raise NotFound(f"failed to stat {path}, the file of the secret {name}: {error.strerror}") from None
    if size > _LARGEST_SECRET:
        raise InvalidInput(f"secret {name} too big. max size 500KB")
    return os.path.abspath(path)


def _contexts(given: list[str]) -> dict[str, str]:
    contexts = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise InvalidInput(f"invalid context value: {text}, expected key=value")
        if not value.startswith("docker-image://") and not os.path.isdir(value):
            raise InvalidInput(f"the build context {name} is neither docker-image://REF nor a directory: {value}")
        contexts[name] = value
    return contexts


def _definition(path: str, file: str) -> tuple[str, str, str]:
    """The context directory, the Dockerfile's text and that of the ignore file."""
    from wherry.build.definition import check_context, read_definition, read_ignore

    if path == "-":
        return "", sys.stdin.read(), ""
    if file == "-":
        check_context(path)
        return path, sys.stdin.read(), read_ignore(path, "")
    return path, *read_definition(path, file)
