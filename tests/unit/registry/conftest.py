"""The application without a server: asked directly, with a clock that tests set."""

import asyncio

import pytest

from registry_server import Answer
from wherry.registry.access import Settings
from wherry.registry.accounts import Accounts
from wherry.registry.application import Application
from wherry.registry.audit import Audit
from wherry.registry.catalog import Catalog
from wherry.registry.http import BlobBody, Request
from wherry.registry.memory import MemoryStorage


class Registry:
    """One registry in this process; `now` in nanoseconds."""

    def __init__(self, directory, *, open=True, storage=None):
        self.now = 1_700_000_000_000_000_000
        self.logged = []
        self.audit_path = f"{directory}/audit.log"
        self.catalog = Catalog(str(directory))
        self.accounts = Accounts(self.catalog)
        self.storage = storage or MemoryStorage()
        self.application = Application(
            self.catalog,
            self.storage,
            self.accounts,
            Settings("000000000000", "us-east-1", "s" * 32, open=open),
            audit=Audit(self.audit_path, lambda: self.now),
            clock=lambda: self.now,
            log=self.logged.append,
        )
        self._loop = asyncio.new_event_loop()

    def __call__(self, method, path, body=b"", headers=None):
        async def chunks():
            for start in range(0, len(body), 1000):
                yield body[start : start + 1000]

        path, _, query = path.partition("?")
        headers = {name.lower(): value for name, value in (headers or {}).items()}
        request = Request(method, path, query, headers, chunks, client="192.0.2.1:5")
        answer = self._loop.run_until_complete(self.application.answer(request))
        data = answer.body
        if isinstance(data, BlobBody):
            data = b"".join(self.storage.read(data.digest, data.start, data.end))
        return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, data)

    def close(self):
        self.application.close()
        self.catalog.close()
        self._loop.close()


@pytest.fixture
def make_registry(tmp_path_factory):
    """Several, each with a directory of its own; closed at the end."""
    made = []

    def make(**options):
        made.append(Registry(tmp_path_factory.mktemp("registry"), **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
