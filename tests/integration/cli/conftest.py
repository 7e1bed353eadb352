"""What the tests of `build` share."""

import pytest


@pytest.fixture
def context(tmp_path):
    """Writes a Dockerfile and files, and gives the directory."""

    def make(dockerfile, **files):
        directory = tmp_path / "context"
        directory.mkdir(exist_ok=True)
        (directory / "Dockerfile").write_text(dockerfile)
        for name, content in files.items():
            path = directory / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return str(directory)

    return make


@pytest.fixture
def built(wherry, request):
    """Builds a context under a name of its own, and removes the image afterwards."""
    tag = "t-" + request.node.name.replace("[", "-").replace("]", "").replace("_", "-")[:50].rstrip("-")

    def build(directory, *arguments, **options):
        wherry("build", "--progress", "plain", "-t", tag, *arguments, directory, **options)
        return tag

    yield build
    wherry("rmi", "-f", tag, check=False)
