"""What holds for all tests.

In continuous integration property tests try the same examples each time: a finding there is a regression. Commands
under test get Ctrl-C as a terminal's would, also where the tests run in the background of a shell, which ignores it.
"""

import os
import signal

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")

signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["installation", "machine", "registry_server", "example", "deploying"]
