"""A Compose project of the tests' own, and how it is run and taken away."""

import os
import subprocess
from contextlib import contextmanager


class Composed:
    """Runs `wherry compose` in a directory of its own; `head` begins every file that is written."""

    head = ""

    def __init__(self, wherry, directory):
        self.wherry, self.directory = wherry, directory
        self.name = os.path.basename(directory)

    def write(self, text, name="compose.yaml"):
        with open(f"{self.directory}/{name}", "w") as file:
            file.write(self.head + text)

    def __call__(self, *arguments, **options):
        return self.wherry("compose", *arguments, cwd=self.directory, **options)

    def start(self, *arguments, **options):
        return self.wherry.start(
            "compose", *arguments, cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
        )


@contextmanager
def project_of(kind, wherry, tmp_path_factory, request, *, prefix, check=True):
    """A project of the class `kind` for one test, named after it, and taken down at the end."""
    name = prefix + request.node.name.partition("[")[0].replace("_", "")[4:20]
    project = kind(wherry, str(tmp_path_factory.mktemp(name)))
    yield project
    project.write("services: {}\n")
    project("down", "-v", "--remove-orphans", "-t", "0", check=check)
