"""What holds for all tests.

In continuous integration property tests try the same examples each time: a finding there is a regression. Commands
under test get Ctrl-C as a terminal's would, also where the tests run in the background of a shell, which ignores it.
"""

import os
import signal
import sys

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")

signal.signal(signal.SIGINT, signal.default_int_handler)


def _keep_to_sqlite(event, arguments):
    """Closing any descriptor of a database's file takes the locks away that connections of this process hold.

    Other processes take away the journal that is still used here then, and both damage the database. What wants to read
    such a file does so in a process of its own.
    """
    if event == "open" and str(arguments[0]).endswith(("wherry.db", "wherry.db-wal", "wherry.db-shm")):
        raise RuntimeError(f"{arguments[0]} is opened beside SQLite")


sys.addaudithook(_keep_to_sqlite)

pytest_plugins = ["installation", "machine", "registry_server", "example", "deploying"]
