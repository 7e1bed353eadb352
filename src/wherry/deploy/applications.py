"""Applications and their versions: made from source trees, kept with their images, forgotten together."""

from __future__ import annotations

import json

from wherry.base.errors import Conflict, InvalidInput
from wherry.base.files import remove_tree
from wherry.base.locks import FileLock
from wherry.base.progress import nobody
from wherry.deploy.extension import KEY, parse_extension
from wherry.deploy.model import Version, check_name
from wherry.store.leases import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.base.progress import Sink
    from wherry.compose.location import ProjectOptions, Warn
    from wherry.deploy.model import Application
    from wherry.deploy.parts import Parts
    from wherry.deploy.versions import Content

__all__ = ["Applications", "check_label"]

_LONGEST = 100
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+")


def check_label(label: str) -> str:
    """`label`, which is to name a version. Raises InvalidInput where it cannot."""
    if not label or len(label) > _LONGEST or not set(label) <= _LETTERS or label[0] in ".-":
        raise InvalidInput(
            f"{label!r} is no label for a version",
            hint=f"use up to {_LONGEST} letters, digits, '.', '_', '-' and '+', beginning with a letter, digit or '_'",
        )
    return label


def _check_routes(content: Content, warn: Warn) -> None:
    """Raises InvalidInput for what the model says wrongly; warns where it has no routes, which may be a mistake."""
    if not parse_extension(content.model).routes and not (content.model.get(KEY) or {}).get("routes"):
        warn(f"no service publishes a port, and {KEY}.routes says nothing: no requests lead to this version")


class Applications:
    """The applications of one installation. One version of an application is made at a time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._records = parts.records

    def add_version(
        self,
        application: str,
        options: ProjectOptions,
        *,
        label: str = "",
        message: str = "",
        progress: Sink = nobody,
        warn: Warn = lambda _: None,
        reuse: bool = False,
    ) -> Version:
        """A new version of the project that `options` find, labelled v1, v2 and so on where no label is given.

        With `reuse` and no label, the newest that is equal to it (model, images and secrets), where there is one.
        Raises Conflict where the label is taken, and what building and fetching images, and reading the project, raise.
        """
        check_name("application", application)
        with FileLock(f"{self._parts.layout.locks}/application-{application}"):
            new = self._free_label(application, label)
            owner = f"{VERSION}{application}/{new}"
            self._parts.versions.release(owner)  # of one that was cut off
            content = self._parts.versions.build(options, owner, progress, warn)
            try:
                _check_routes(content, warn)
                equal = self._equal(application, content) if reuse and not label else None
                if equal is not None:
                    self._parts.versions.release(owner)
                    return equal
                version = Version(
                    application, new, self._parts.clock(), content.model, content.images, content.revision, message
                )
                with self._records.database.write():
                    self._records.ensure_application(application)
                    self._records.add_version(version, content.secrets)
            except BaseException:
                self._parts.versions.release(owner)
                raise
        return version

    def draft_version(
        self, application: str, options: ProjectOptions, *, label: str = "", warn: Warn = lambda _: None
    ) -> Version:
        """What `add_version` would make, without images: nothing is built, fetched, run or written down.

        Raises Conflict where the label is taken, and what reading the project raises.
        """
        label = self._free_label(application, label)
        content = self._parts.versions.draft(options, warn)
        parse_extension(content.model)
        return Version(application, label, self._parts.clock(), content.model, content.images, content.revision)

    def _equal(self, application: str, content: Content) -> Version | None:
        """The newest version with the same content."""
        model = json.loads(json.dumps(content.model))  # as records give it
        for one in self._known(application):
            same = (one.model, one.images) == (model, content.images)
            if same and self._records.version_secrets(one) == content.secrets:
                return one
        return None

    def _free_label(self, application: str, label: str) -> str:
        if label:
            self._refuse_taken(application, check_label(label))
        return label or self._next_label(application)

    def _refuse_taken(self, application: str, label: str) -> None:
        if any(one.label == label for one in self._known(application)):
            raise Conflict(f"application {application} has a version {label}", hint="choose another --label")

    def _known(self, application: str) -> list[Version]:
        return self._records.versions(application)

    def _next_label(self, application: str) -> str:
        """One more than the highest that exists or was ever deployed."""
        labels = [one.label for one in self._known(application)]
        for environment in self._records.environments(application, terminated=True):
            labels += [one.after_version for one in self._records.history.deployments(environment.name)]
        numbers = [int(one[1:]) for one in labels if one[:1] == "v" and one[1:].isascii() and one[1:].isdigit()]
        return f"v{max(numbers, default=0) + 1}"

    def all(self) -> list[Application]:
        """By name."""
        return self._records.applications()

    def versions(self, application: str) -> list[Version]:
        """The newest first. Raises NotFound."""
        self._records.application(application)
        return self._known(application)

    def remove_version(self, application: str, label: str) -> None:
        """Forget a version and let go of its images. Raises Conflict while an environment runs it."""
        self._records.remove_version(application, label)
        self._parts.versions.release(f"{VERSION}{application}/{label}")

    def remove(self, application: str) -> None:
        """Forget it with all its versions, and the history, logs and backups of its environments.

        Raises Conflict while one of them is not terminated.
        """
        labels = [one.label for one in self.versions(application)]
        with self._records.database.write():
            environments = [one.name for one in self._records.environments(application, terminated=True)]
            self._records.remove_application(application)
            for name in environments:
                self._records.remove_environment(name)
        for name in environments:
            remove_tree(f"{self._parts.layout.root}/environments/{name}")
        for label in labels:
            self._parts.versions.release(f"{VERSION}{application}/{label}")
