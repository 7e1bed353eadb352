"""Base images without a registry: `debian` by mmdebstrap, the other families by Dockerfiles of this package on it."""

from __future__ import annotations

import os

from wherry.base.errors import InvalidInput, NotFound
from wherry.base.progress import Finished, Started
from wherry.base.values import NamedTuple
from wherry.build.bases.catalog import FAMILIES, Family, family_of, is_description
from wherry.oci.reference import parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.base.progress import Sink
    from wherry.build.bases.debian import Distribution
    from wherry.engine import Engine
    from wherry.oci.reference import Reference
    from wherry.store import Image

__all__ = ["FAMILIES", "Built", "Family", "build_base", "family_of", "find_base", "stand_in"]

_FAMILY, _VERSION, _DISTRIBUTION = "io.wherry.base.family", "io.wherry.base.version", "io.wherry.base.distribution"


class Built(NamedTuple):
    """A base image that was made, and its names."""

    image: Image
    names: tuple[str, ...]


def find_base(engine: Engine, family: str) -> Image | None:
    """The newest stand-in of the family in the store; images that were built on one have its labels, not its name."""
    for image in engine.images.all():
        named = any(family_of(parse_reference(name)) == FAMILIES[family] for name in image.names)
        if named and engine.images.config(image).config.labels.get(_FAMILY) == family:
            return image
    return None


def stand_in(engine: Engine, name: str, progress: Sink, *, ca_bundle: str) -> Image:
    """What serves for `name`: its family's image, made now where it is not there. Raises NotFound without a family."""
    family = family_of(parse_reference(name))
    if family is None:
        raise NotFound(
            f"no base image of the distribution stands in for {name}", hint=f"there are: {', '.join(FAMILIES)}"
        )
    present = find_base(engine, family.name)
    return present if present is not None else build_base(engine, family.name, progress, ca_bundle=ca_bundle).image


def build_base(engine: Engine, text: str, progress: Sink, *, ca_bundle: str, if_missing: bool = False) -> Built:
    """Make the base image `NAME[:TAG]`; it is named NAME:VERSION, NAME:latest and, where one was given, NAME:TAG.

    With `if_missing`, one that is there is only named. Raises InvalidInput for a tag that would say something untrue.
    """
    reference = parse_reference(text, default_tag=False)
    family = family_of(reference)
    if family is None:
        raise InvalidInput(f"no family of base images is called {text}", hint=f"there are: {', '.join(FAMILIES)}")
    present = find_base(engine, family.name) if if_missing else None
    if present is not None:
        return _name(engine, present, family, reference)
    _check_tag(family, reference, _expected(family), partly=True)
    image = _debian(engine, progress) if family.name == "debian" else _on_debian(engine, family, progress, ca_bundle)
    return _name(engine, image, family, reference)


def _expected(family: Family) -> str:
    """What the version will be, as far as that is known beforehand; empty for unknown."""
    from wherry.build.bases.debian import candidate, distribution

    if family.name == "debian":
        return distribution().version
    return family.version or candidate(family.version_package)


def _check_tag(family: Family, reference: Reference, version: str, *, partly: bool = False) -> None:
    from wherry.build.bases.debian import distribution

    release = distribution()
    if not reference.tag or (partly and not version):
        return
    if not is_description(reference.tag, version, release.codename, partly=partly):
        raise InvalidInput(
            f"{family.name}:{reference.tag} is not what this machine can build: from the packages of {release.name}"
            f" {release.version} ({release.codename}) comes {family.name}:{family.tag(version)}",
            hint="`wherry build --base-fallback distro` takes that for a name that cannot be pulled, and says so;"
            f" `wherry tag {family.name}:{family.tag(version)} NAME` gives it a name of your own",
        )


def _name(engine: Engine, image: Image, family: Family, reference: Reference) -> Built:
    version = engine.images.config(image).config.labels[_VERSION]
    tags = dict.fromkeys((family.tag(version), version, "latest"))
    honest = reference._replace(repository=f"library/{family.name}")
    names = [honest._replace(tag=tag) for tag in tags]
    for name in names:
        engine.store.images.tag(image.manifest_digest, name)
    _check_tag(family, reference, version)
    if reference.tag and reference.tag not in tags:
        names.append(honest)
        engine.store.images.tag(image.manifest_digest, honest)
    return Built(engine.store.images.get(image.manifest_digest), tuple(name.familiar() for name in names))


def _debian(engine: Engine, progress: Sink) -> Image:
    from wherry.build.bases.debian import build_root, distribution, point_release, source_date
    from wherry.build.layers import make_layer
    from wherry.engine.configuration import DEFAULT_PATH
    from wherry.layer.packing import pack_tree
    from wherry.oci.config import ContainerDefaults, History, ImageConfig
    from wherry.oci.descriptor import Descriptor
    from wherry.oci.media_types import LAYER
    from wherry.oci.platform import host_platform

    release = distribution()
    task = f"debian {release.version}"
    version = release.version
    progress(Started(task, f"making debian:{release.version} ({release.codename}) from the distribution's packages"))
    epoch = 0
    with engine.store.leases.process() as lease:

        def write(directory: str, _work: str, sink: object) -> object:
            nonlocal epoch, version
            build_root(directory, task, progress)
            epoch, version = source_date(directory), point_release(directory, release)
            return pack_tree(directory, sink, clamp_mtime=epoch, settle=True)  # type: ignore[arg-type]

        layer = make_layer(engine.store, lease, (), write, 0)  # type: ignore[arg-type]
        platform = host_platform(os.uname().machine)
        step = History(epoch * 1_000_000_000, f"mmdebstrap --variant=minbase {release.codename}")
        config = ImageConfig(
            platform.architecture,
            config=ContainerDefaults(
                env=(f"PATH={DEFAULT_PATH}",), cmd=("bash",), labels=_labels("debian", version, release, epoch)
            ),
            rootfs=(layer.diff_id,),
            history=(step,),
            created=step.created,
        )
        descriptor = Descriptor(LAYER, layer.digest, layer.blob_size)
        image = engine.store.images.create(config, [descriptor], lease=lease, size=layer.blob_size)
    progress(Finished(task))
    return image


def _labels(family: str, version: str, release: Distribution, epoch: int) -> dict[str, str]:
    return {
        _FAMILY: family,
        _VERSION: version,
        _DISTRIBUTION: f"{release.name} {release.version} ({release.codename})",
        "io.wherry.base.source-date": str(epoch),
        "org.opencontainers.image.title": family,
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.description": f"{FAMILIES[family].summary}, from {release.name} {release.version}",
    }


def _on_debian(engine: Engine, family: Family, progress: Sink, ca_bundle: str) -> Image:
    """Build the family's Dockerfile on `debian`, then label it with the version that it turned out to have."""
    from wherry.build.bases.debian import distribution
    from wherry.build.builder import build
    from wherry.build.request import BuildRequest

    debian = find_base(engine, "debian") or build_base(engine, "debian", progress, ca_bundle=ca_bundle).image
    directory = os.path.join(os.path.dirname(__file__), family.name)
    with open(f"{directory}/Dockerfile", encoding="utf-8") as file:
        dockerfile = file.read()
    epoch = engine.images.config(debian).config.labels["io.wherry.base.source-date"]
    request = BuildRequest(
        dockerfile=dockerfile,
        context=directory,
        build_args={"SOURCE_DATE_EPOCH": epoch},
        build_contexts={"debian": f"docker-image://{debian.id}"},
        ca_bundle=ca_bundle,
    )
    result = build(engine, request, progress)
    image = engine.store.images.get(result.manifest_digest)
    version = _version(engine, image)
    labelled = request._replace(labels=_labels(family.name, version, distribution(), int(epoch)))
    labelled_digest = build(engine, labelled, progress).manifest_digest
    if labelled_digest != image.manifest_digest and not image.names:
        engine.store.images.remove(image.manifest_digest)
    return engine.store.images.get(labelled_digest)


def _version(engine: Engine, image: Image) -> str:
    """What the image says of itself in `/etc/wherry-base-version`, a line that its Dockerfile wrote."""
    from wherry.kernel.rooted import read_in_root
    from wherry.oci.config import chain_id

    for lower in engine.store.snapshots.lowers(chain_id(engine.images.config(image).rootfs)):
        text = read_in_root(lower, "etc/wherry-base-version").decode().strip()
        if text:
            return text
    raise NotFound("the base image does not say its version", hint="its Dockerfile writes /etc/wherry-base-version")
