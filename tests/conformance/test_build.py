"""Every Dockerfile of `build/` gives what Docker gives for it."""

import json
import os

import pytest

from conformance.build_cases import cases, describe, make_base, with_busybox
from installation import make_rootfs

CASES = cases()


@pytest.fixture(scope="module")
def engine(tmp_path_factory, wherry):
    """The installation of the tests, used in this process, with the base image."""
    from wherry.base.paths import Layout
    from wherry.engine import open_engine

    make_programs = with_busybox if os.path.exists("/bin/busybox") else make_rootfs
    directory = tmp_path_factory.mktemp("base") / "context"
    make_base(directory, make_programs)
    wherry("build", "-q", "-t", "base", str(directory))
    opened = open_engine(Layout(wherry.root, wherry.run))
    yield opened
    opened.close()
    wherry("rmi", "-f", "base", check=False)


def build(engine, case, context):
    from wherry.base.progress import nobody
    from wherry.build import build as run_build
    from wherry.cli.verbs.build import request_of

    return run_build(engine, request_of([*case.arguments, "--ca-bundle", "none", str(context)]), nobody)


def read(engine, result):
    image = engine.images.resolve(result.image_id)
    manifest, config = engine.store.images.manifest(image), engine.store.images.config(image)
    base = engine.store.images.config(engine.images.resolve("base")).rootfs
    skipped = len(base) if config.rootfs[: len(base)] == base else 0
    opened = [engine.store.content.open(layer.digest) for layer in manifest.layers[skipped:]]
    try:
        return describe(json.loads(engine.store.content.read(manifest.config.digest))["config"], opened)
    finally:
        for layer in opened:
            layer.close()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_image_is_dockers(engine, case, tmp_path):
    from wherry.base.errors import WherryError

    context = case.context(tmp_path / "context")
    expected = case.ours
    if "error" in expected:
        with pytest.raises(WherryError) as raised:
            build(engine, case, context)
        assert case.says
        assert case.says in raised.value.message
        return
    assert read(engine, build(engine, case, context)) == expected


def test_there_are_enough_of_them():
    assert len(CASES) >= 80
