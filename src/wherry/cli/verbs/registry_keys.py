"""`registry key`: access keys for Amazon's clients."""

from __future__ import annotations

import json
import sys

from wherry.cli.context import each
from wherry.cli.flags import Command, Flag
from wherry.cli.group import dispatch
from wherry.cli.output import print_list
from wherry.cli.verbs.registry import DATA_FLAGS, opened

__all__ = ["run"]

_EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}]}
)


def run(argv: list[str]) -> int:
    """One of the words."""
    words = {"create": _create, "ls": _list, "policy": _policy, "rm": _remove}
    return dispatch("registry key", argv, {}, words)


def _create(argv: list[str]) -> int:
    flags = (
        *DATA_FLAGS,
        Flag("format", "str", "text (lines for a shell) or json", default="text"),
        Flag("name", "str", "The user whom policies speak of (arn:aws:iam::ACCOUNT:user/NAME)"),
        Flag("policy", "str", "File with its IAM policy document, - for standard input (default: all of ECR)"),
    )
    parsed = Command("wherry registry key create", "[OPTIONS]", "Make an access key", flags, most=0).parse(argv)
    from wherry.base.errors import UsageError

    if parsed["format"] not in ("text", "json"):
        raise UsageError(f"invalid --format: {parsed['format']}", hint="there are: text, json")
    policy = _read(parsed["policy"]) if parsed["policy"] else _EVERYTHING
    service = opened(parsed)
    key = service.accounts.create_key(parsed["name"], policy, service.clock())
    if parsed["format"] == "json":
        print(json.dumps({"AccessKeyId": key.id, "SecretAccessKey": key.secret}))
    else:
        print(f"AWS_ACCESS_KEY_ID={key.id}\nAWS_SECRET_ACCESS_KEY={key.secret}")
    return 0


def _list(argv: list[str]) -> int:
    flags = (*DATA_FLAGS, Flag("format", "str", "table, json, or a Go template"))
    parsed = Command("wherry registry key ls", "[OPTIONS]", "List access keys", flags, most=0).parse(argv)
    from wherry.base.clock import rfc3339

    keys = opened(parsed).accounts.keys()
    rows = [{"ID": key.id, "Name": key.name or "-", "Created": rfc3339(key.created)} for key in keys]
    print_list(rows, [("ACCESS KEY ID", "ID"), ("NAME", "Name"), ("CREATED", "Created")], parsed["format"])
    return 0


def _policy(argv: list[str]) -> int:
    usage = "[OPTIONS] ID [FILE|-]"
    summary = "Show an access key's policy document, or give it another"
    parsed = Command("wherry registry key policy", usage, summary, DATA_FLAGS, least=1, most=2).parse(argv)
    from wherry.base.errors import NotFound

    service = opened(parsed)
    if parsed.args[1:]:
        service.accounts.set_policy(parsed.args[0], _read(parsed.args[1]))
        return 0
    key = service.accounts.key(parsed.args[0])
    if key is None:
        raise NotFound(f"no such access key: {parsed.args[0]}")
    print(key.policy)
    return 0


def _remove(argv: list[str]) -> int:
    usage = "[OPTIONS] ID [ID...]"
    parsed = Command("wherry registry key rm", usage, "Remove access keys", DATA_FLAGS, least=1).parse(argv)
    service = opened(parsed)
    return each(parsed.args, service.accounts.remove_key)


def _read(path: str) -> str:
    if path == "-":
        return sys.stdin.read()
    with open(path, encoding="utf-8") as file:
        return file.read()
