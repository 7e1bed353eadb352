"""What a build is made from, read from the disk: the Dockerfile, the ignore file, the CA bundle of this machine."""

from __future__ import annotations

import os

from wherry.base.errors import NotFound

__all__ = ["ca_bundle", "check_context", "read_definition", "read_ignore"]

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def ca_bundle(wanted: str) -> str:
    """The file that `host`, `none` or a path means; empty for none. Raises NotFound."""
    if wanted == "none":
        return ""
    if wanted != "host":
        if not os.path.isfile(wanted):
            raise NotFound(f"the CA bundle {wanted} is not there")
        return os.path.abspath(wanted)
    return next((path for path in _BUNDLES if os.path.isfile(path)), "")


def check_context(path: str) -> None:
    """Raises NotFound where the build context is no directory."""
    if not os.path.isdir(path):
        raise NotFound(
            f'unable to prepare context: path "{path}" not found', hint="give a directory, or - for a Dockerfile"
        )


def read_definition(path: str, file: str) -> tuple[str, str]:
    """The text of the Dockerfile (`file`, or the one in the context `path`) and of its ignore file. Raises NotFound."""
    check_context(path)
    name = file or os.path.join(path, "Dockerfile")
    try:
        with open(name, encoding="utf-8", errors="surrogateescape") as dockerfile:
            text = dockerfile.read()
    except OSError as error:
        raise NotFound(
            f"unable to read the Dockerfile: {name}: {error.strerror}", hint="name another with -f"
        ) from None
    return text, read_ignore(path, name)


def read_ignore(context: str, dockerfile: str) -> str:
    """`<Dockerfile>.dockerignore` takes the place of the context's `.dockerignore`."""
    candidates = [f"{dockerfile}.dockerignore"] if dockerfile else []
    for path in (*candidates, os.path.join(context, ".dockerignore")):
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except FileNotFoundError:
            continue
    return ""
