"""Fingerprints of what is wanted, kept as labels of what was made: they differ where it must be made anew.

Source: docker compose, pkg/compose/hash.go: a service's leaves out what changes no container (how the image is built
and fetched, how many there are, what is started before it). Secrets are left out because a hash would tell about them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.compose.model import Service

__all__ = ["resource_hash", "service_hash"]

_LEFT_OUT = "build pull_policy pull_refresh_after scale depends_on profiles develop attach secret_environment".split()


def service_hash(service: Service) -> str:
    """64 hexadecimal digits."""
    config = {key: value for key, value in service.config.items() if key not in _LEFT_OUT and not key.startswith("x-")}
    deploy = {key: value for key, value in config.pop("deploy", {}).items() if key != "replicas"}
    return resource_hash({**config, **({"deploy": deploy} if deploy else {})})


def resource_hash(resource: dict[str, Any]) -> str:
    """64 hexadecimal digits for a network or a volume as the model has it."""
    import json
    from hashlib import sha256

    return sha256(json.dumps(resource, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
