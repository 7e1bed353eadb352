"""Floor 3: what an installation keeps: blobs, images and their names, snapshots, leases, and the database of facts.

Every byte is written under a temporary name, checked, synced and renamed; every fact is a row. So whatever a process
was doing when it died, what can be seen afterwards is whole, and `Store.collect` removes the rest.
"""

from wherry.store.database import Database, Duplicate
from wherry.store.images import Image
from wherry.store.store import Collected, Store, open_store

__all__ = ["Collected", "Database", "Duplicate", "Image", "Store", "open_store"]
