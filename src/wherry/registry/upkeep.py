"""What a server does by itself: stale uploads expire, lifecycle policies are carried out, garbage is collected."""

from __future__ import annotations

import asyncio

from wherry.base.errors import WherryError
from wherry.registry.access import Caller
from wherry.registry.collecting import collect, expire_uploads
from wherry.registry.ecr.expiring import expire_images

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from wherry.registry.audit import Audit
    from wherry.registry.service import Service

__all__ = ["Upkeep"]

_EVERY = 600  # seconds between two looks
_SECOND = 1_000_000_000


class Upkeep:
    """Runs beside requests, in a thread. `report(event, **details)` is told what was done and what failed."""

    def __init__(self, service: Service, audit: Audit, report: Callable[..., None]) -> None:
        self._service = service
        self._audit = audit
        self._report = report

    async def run(self) -> None:
        """Until cancelled. A failure is reported, and tried again at the next time."""
        while True:
            try:
                for event, details in await asyncio.to_thread(self.once):
                    self._report(event, **details)
            except (WherryError, OSError) as error:
                self._report("upkeep failed", error=str(error))
            await asyncio.sleep(_EVERY)

    def once(self) -> list[tuple[str, dict[str, object]]]:
        """Do what is due; what was done."""
        service, configuration = self._service, self._service.configuration
        now = service.clock()
        done: list[tuple[str, dict[str, object]]] = []
        service.reserve.keep()
        stale = now - configuration.upload_expiry * _SECOND
        expired = service.reserve.lend(lambda: expire_uploads(service.catalog, service.storage, stale))
        if expired:
            done.append(("uploads expired", {"count": expired}))
        for repository, images in expire_images(service.catalog, now):
            done.append(("images expired", {"repository": repository, "count": len(images)}))
            system = Caller("", "lifecycle")
            self._audit.note("expire", system, repository, digests=[each.image.digest for each in images])
        if configuration.gc_every and service.catalog.write(lambda db: _is_due(db, now, configuration.gc_every)):
            before, untagged = now - configuration.gc_grace * _SECOND, configuration.gc_untagged
            found = service.reserve.lend(lambda: collect(service.catalog, service.storage, before, untagged=untagged))
            done.append(("collected", {**found._asdict()}))
        return done


def _is_due(db: sqlite3.Connection, now: int, every: int) -> bool:
    """Whether the last collection, of whichever server, is long enough ago; this one is then noted."""
    row = db.execute("SELECT value FROM settings WHERE name = 'collected'").fetchone()
    if row is not None and now - int(row[0]) < every * _SECOND:
        return False
    db.execute("INSERT OR REPLACE INTO settings VALUES ('collected', ?)", (str(now),))
    return True
