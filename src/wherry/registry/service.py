"""A registry's data directory, opened: catalog, storage, accounts, what identifies this registry."""

from __future__ import annotations

import os
import secrets

from wherry.base.clock import system_clock
from wherry.registry.access import Settings
from wherry.registry.accounts import Accounts
from wherry.registry.catalog import Catalog
from wherry.registry.filesystem import FileSystemStorage
from wherry.registry.reserve import Reserve

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from wherry.registry.configuration import Configuration

__all__ = ["Service", "open_service"]


class Service:
    """What both the server and the verbs beside it work on. Several processes may have it open."""

    def __init__(self, root: str, configuration: Configuration, clock: Callable[[], int]) -> None:
        self.root = root
        self.configuration = configuration
        self.clock = clock
        self.catalog = Catalog(root)
        self.accounts = Accounts(self.catalog)
        self.storage = FileSystemStorage(root)
        self.reserve = Reserve(root)

    def settings(self) -> Settings:
        """What makes this registry this registry; the secret that signs its tokens is made at the first time."""

        def secret(db: sqlite3.Connection) -> str:
            db.execute("INSERT OR IGNORE INTO settings VALUES ('secret', ?)", (secrets.token_hex(32),))
            return str(db.execute("SELECT value FROM settings WHERE name = 'secret'").fetchone()[0])

        chosen = self.configuration
        return Settings(
            chosen.account, chosen.region, self.catalog.write(secret), chosen.public_url, open=chosen.is_open
        )

    def close(self) -> None:
        """Give the files back."""
        self.catalog.close()


def open_service(configuration: Configuration, clock: Callable[[], int] = system_clock) -> Service:
    """Open the data directory, which is made where it is missing."""
    return Service(os.path.abspath(configuration.data), configuration, clock)
