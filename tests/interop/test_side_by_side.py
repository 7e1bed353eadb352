"""The same command lines on a real Docker and on Wherry; the lines are data in `sidebyside/`."""

import glob
import os
import shutil

import pytest

from sidebyside import Docker, Wherry, differences, read_scenes

HERE = os.path.join(os.path.dirname(__file__), "sidebyside")
SCENES = {name: cases for path in sorted(glob.glob(f"{HERE}/*.txt")) for name, cases in read_scenes(path).items()}
MISSING = [name for name in ("dockerd", "containerd", "runc") if shutil.which(name) is None]
MISSING += [] if os.path.exists("/usr/bin/docker") else ["/usr/bin/docker"]

pytestmark = [
    pytest.mark.skipif(not os.environ.get("WHERRY_SIDE_BY_SIDE"), reason="takes minutes: run script/sidebyside"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
]


@pytest.fixture(scope="module")
def sides(tmp_path_factory, rootfs):
    """Both engines with the same image `tiny`, and a directory with what the lines name."""
    work = tmp_path_factory.mktemp("work")
    shutil.copytree(f"{HERE}/files", work, dirs_exist_ok=True)
    wherry = Wherry(tmp_path_factory.mktemp("wherry"))
    docker = Docker(str(tmp_path_factory.mktemp("docker")))
    try:
        for side in (docker, wherry):
            done = side("build", "-q", "-t", "tiny", str(rootfs), timeout=200)
            assert done.returncode == 0, done.stderr
        yield docker, wherry, str(work)
    finally:
        docker.destroy()
        wherry.destroy()


@pytest.mark.parametrize("scene", SCENES)
def test_docker_and_wherry_do_the_same(sides, scene):
    docker, wherry, work = sides
    told = []
    for case in SCENES[scene]:
        done = [side(*case.words, stdin=case.stdin, cwd=work) for side in (docker, wherry)]
        found = differences(case, *done) if case.is_compared else []
        if found and not case.wanted:
            told += [f"{case.where}: {case.line}", *(f"    {line}" for line in found)]
        if case.wanted and not found:
            told += [f"{case.where}: {case.line}", f"    no longer differs ({case.wanted})"]
    for side in (docker, wherry):
        for identifier in side("ps", "-aq").stdout.decode().split():
            side("rm", "-f", "-v", identifier)
    assert not told, "\n" + "\n".join(told)
