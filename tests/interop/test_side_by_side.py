"""The same command lines on a real Docker and on Wherry; the lines are data in `sidebyside/`."""

import glob
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from projectstate import Watch, differences_of_state
from sidebyside import Docker, Edit, Wherry, differences, read_scenes

HERE = os.path.join(os.path.dirname(__file__), "sidebyside")
SCENES = {name: cases for path in sorted(glob.glob(f"{HERE}/*.txt")) for name, cases in read_scenes(path).items()}
PROJECTS = [name for name, cases in SCENES.items() if any(isinstance(case, Edit) for case in cases)]
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
            side.environment["ASKED"] = "from outside"
            done = side("build", "-q", "-t", "tiny", str(rootfs), timeout=200)
            assert done.returncode == 0, done.stderr
        yield docker, wherry, str(work)
    finally:
        docker.destroy()
        wherry.destroy()


def told(case, found):
    """Lines about what differs although it should not, or does not although a mark says so."""
    if found and not case.wanted:
        return [f"{case.where}: {case.line}", *(f"    {line}" for line in found)]
    if case.wanted and not found:
        return [f"{case.where}: {case.line}", f"    no longer differs ({case.wanted})"]
    return []


def clear(side):
    for identifier in side("ps", "-aq").stdout.decode().split():
        side("rm", "-f", "-v", identifier)


@pytest.mark.parametrize("scene", [name for name in SCENES if name not in PROJECTS])
def test_docker_and_wherry_do_the_same(sides, scene):
    docker, wherry, work = sides
    lines = []
    for case in SCENES[scene]:
        words = [word.replace("%work%", work) for word in case.words]
        done = [side(*words, stdin=case.stdin, cwd=work) for side in (docker, wherry)]
        lines += told(case, differences(case, *done) if case.is_compared else [])
    clear(docker)
    clear(wherry)
    assert not lines, "\n" + "\n".join(lines)


ASKING = {"exec", "config", "port", "top", "images", "ps", "logs"}


class Stage:
    """One side of a scene with a project: its directory, and what is seen of it."""

    def __init__(self, side, work):
        self.side, self.directory = side, f"{work}/projects/{side.name}/shop"
        self.watch = Watch(side, self.directory)
        os.makedirs(self.directory)

    def write(self, edit):
        with open(f"{self.directory}/{edit.path}", "w") as file:
            file.write(self.side.own(edit.text))

    def play(self, case):
        """What the command did, and what there is then."""
        if case.words[0] == "order":
            return None, {"order": {"": " ".join(self.watch.order(case.words[1:]))}}
        done = self.side(*case.words, stdin=case.stdin, cwd=self.directory, timeout=120)
        only_asks = case.words[:1] == ["compose"] and bool({*case.words[1:2]} & ASKING)
        return done, {} if only_asks else self.watch.look()

    def clear(self):
        clear(self.side)
        self.side("network", "prune", "-f")
        for volume in self.side("volume", "ls", "-q").stdout.decode().split():
            self.side("volume", "rm", "-f", volume)
        for image in self.side("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.decode().split():
            if image not in ("tiny:latest", "<none>:<none>"):
                self.side("rmi", "-f", image)
        shutil.rmtree(os.path.dirname(self.directory))


@pytest.mark.skipif(not os.path.exists("/usr/bin/docker-compose"), reason="not installed: docker-compose")
@pytest.mark.parametrize("scene", PROJECTS)
def test_docker_compose_and_wherry_compose_do_the_same(sides, scene):
    *both, work = sides
    stages = [Stage(side, work) for side in both]
    lines, known = [], []
    try:
        with ThreadPoolExecutor(2) as pool:
            for case in SCENES[scene]:
                if isinstance(case, Edit):
                    for stage in stages:
                        stage.write(case)
                    continue
                (docker, theirs), (wherry, ours) = pool.map(lambda stage, case=case: stage.play(case), stages)
                found = differences(case, docker, wherry) if docker is not None else []
                states = differences_of_state(theirs, ours)
                if case.is_compared:
                    lines += told(case, found + [line for line in states if line not in known])
                    known = states or known
    finally:
        for stage in stages:
            stage.clear()
    assert not lines, "\n" + "\n".join(lines)
