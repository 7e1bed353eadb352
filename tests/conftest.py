"""In continuous integration property tests try the same examples each time: a finding there is a regression."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")

pytest_plugins = ["installation", "machine", "registry_server", "example", "deploying"]
