"""Image names pinned to the digests that their registries have for them now."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.compose.model import Project

__all__ = ["pin_images", "registry_digest"]


def pin_images(project: Project, digest_of: Callable[[str], str]) -> Project:
    """The project with `name@digest` for every image name; `digest_of` asks for one."""
    services = dict(project.services)
    for name, service in project.services.items():
        image = service.get("image")
        if image and "@" not in image:
            services[name] = service._replace(config={**service.config, "image": f"{image}@{digest_of(image)}"})
    return project._replace(services=services)


def registry_digest(image: str) -> str:
    """The digest of the manifest or index that the registry has under the name. Raises NotFound, Denied or
    Unavailable."""
    import os

    from wherry.base.config import load_configuration
    from wherry.oci.reference import parse_reference
    from wherry.transfer import Credentials, RegistryClient, RegistrySettings

    reference = parse_reference(image)
    configuration = load_configuration(os.environ)
    settings = RegistrySettings(configuration.insecure_registries, configuration.certificates, os.environ)
    client = RegistryClient(reference, Credentials(os.environ), settings)
    try:
        return client.manifest(reference.tag).digest
    finally:
        client.close()
