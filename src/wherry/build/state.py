"""A stage while it is being built: its layers so far, and the configuration that its image will have."""

from __future__ import annotations

import os

from wherry.base.values import NamedTuple
from wherry.engine.configuration import DEFAULT_PATH
from wherry.oci.config import ContainerDefaults, History, ImageConfig, chain_id
from wherry.oci.descriptor import Descriptor
from wherry.oci.media_types import LAYER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.build.cache import CachedLayer

__all__ = ["PROXIES", "StageState"]

_UPPER = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
PROXIES = (*_UPPER, *(name.lower() for name in _UPPER))  # arguments that are known undeclared


class StageState(NamedTuple):
    """An immutable value: each instruction gives the next."""

    config: ImageConfig
    layers: tuple[Descriptor, ...] = ()
    arguments: dict[str, str] = {}  # noqa: RUF012 (declared ARGs that no later ENV replaced; never changed in place)
    has_command: bool = False  # CMD was given in this stage, so ENTRYPOINT does not clear it

    @property
    def chain_id(self) -> str:
        """What the root file system is so far; empty for nothing."""
        return chain_id(self.config.rootfs)

    @property
    def defaults(self) -> ContainerDefaults:
        """The container configuration so far."""
        return self.config.config

    @property
    def environment(self) -> dict[str, str]:
        """The ENV values so far."""
        return dict(entry.partition("=")[::2] for entry in self.defaults.env)

    @property
    def variables(self) -> dict[str, str]:
        """What words are expanded with: ENV and arguments; of one name, what was said last."""
        return {**self.environment, **self.arguments}

    @property
    def step_environment(self) -> tuple[str, ...]:
        """What a RUN step gets: ENV and the declared arguments."""
        values = {"PATH": DEFAULT_PATH, **self.variables}
        return tuple(f"{name}={value}" for name, value in values.items())

    @property
    def working_dir(self) -> str:
        """Where relative paths begin."""
        return self.defaults.working_dir or "/"

    def resolve(self, path: str) -> str:
        """An absolute path in the image, without `.` and `..`; a trailing slash is kept."""
        joined = os.path.normpath(os.path.join(self.working_dir, path))
        joined = "/" + joined.lstrip("/")
        return joined + "/" if path.endswith("/") and joined != "/" else joined

    def changed(self, **fields: object) -> StageState:
        """With other container defaults."""
        return self._replace(config=self.config._replace(config=self.defaults._replace(**fields)))  # type: ignore[arg-type]

    @property
    def created(self) -> int:
        """When the last layer was made (ns): a build that finds everything in the cache gives the same image again."""
        return self.config.created

    def noted(self, created_by: str) -> StageState:
        """With a step in the history that made no layer."""
        step = History(self.created, created_by, comment="buildkit.dockerfile.v0", empty_layer=True)
        return self._replace(config=self.config._replace(history=(*self.config.history, step)))

    def with_layer(self, layer: CachedLayer, created_by: str) -> StageState:
        """With a further layer, and the step that made it in the history."""
        step = History(layer.created, created_by, comment="buildkit.dockerfile.v0")
        config = self.config._replace(
            created=layer.created, rootfs=(*self.config.rootfs, layer.diff_id), history=(*self.config.history, step)
        )
        return self._replace(config=config, layers=(*self.layers, Descriptor(LAYER, layer.digest, layer.blob_size)))
