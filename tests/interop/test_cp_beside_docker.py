"""`cp` on a real Docker and on Wherry: the same trees on both sides after the same command lines, and the same ends."""

import os
import shutil
import stat
import tarfile
import tempfile

import pytest

from sidebyside import Docker, Wherry

MISSING = [name for name in ("dockerd", "containerd", "runc") if shutil.which(name) is None]
MISSING += [] if os.path.exists("/usr/bin/docker") else ["/usr/bin/docker"]

pytestmark = [
    pytest.mark.skipif(not os.environ.get("WHERRY_SIDE_BY_SIDE"), reason="takes minutes: run script/sidebyside"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
]

INSIDE = """
rm -rf /t /x; mkdir -p /t/d/sub /t/e /t/d/empty; cd /t
echo f > d/f; echo g > d/sub/g; echo file > file; echo other > other
ln -s /t/d ld; ln -s d rl; ln -s f d/lf; ln -s /t/nowhere dangling; ln -s ../../../../../t/e up; ln -s file lfile
ln d/f d/h; chown 1000:1001 d/f; chmod 640 d/f; chown 1000:1001 d/sub; chmod 2750 d/sub; chmod 4755 file
ln -s /t/ld chain; ln -s nofile /t/lnew
"""
SCENES = """
C:/t/file out
C:/t/file out/
C:/t/file there
C:/t/file there/
C:/t/file there/.
C:/t/file thing
C:/t/file thing/
C:/t/file nowhere/x
C:/t/file/ out
C:/t/file/. out
C:/t/d out
C:/t/d out/
C:/t/d out/.
C:/t/d there
C:/t/d there/
C:/t/d there/new
C:/t/d thing
C:/t/d/ out
C:/t/d/ there
C:/t/d/. out
C:/t/d/. there
C:/t/d/. thing
C:t/d there
C:./t/d/../d there
C:/t/ld out
C:/t/ld there
C:/t/ld/ out
C:/t/ld/ there
C:/t/ld/. there
C:/t/chain there
-L C:/t/ld out
-L C:/t/ld there
-L C:/t/rl there
-L C:/t/rl/ there
-L C:/t/rl/. out
-L C:/t/chain there
-L C:/t/lfile there
-L C:/t/lfile out
-L C:/t/d there
C:/t/lfile out
C:/t/lfile there
C:/t/dangling there
-L C:/t/dangling there
C:/t/missing there
C:/t/d/lf out
C:/t/d/lf linkthing
C:/t/file linkthing
C:/t/file linkthere
C:/t/d linkthere
C:/t/file linknew
C:/t/d/sub clash
C:/t/d/f dirclash
-a C:/t/d there
C:/t/up/ there
-L C:/t/up there
thing C:/t/new
thing C:/t/new/
thing C:/t/e
thing C:/t/e/
thing C:/t/e/.
thing C:/t/file
thing C:/t/file/
thing C:/t/none/x
thing C:t/e
thing C:/t/lfile
thing C:/t/ld
thing C:/t/ld/
thing C:/t/dangling
thing C:/t/lnew
thing C:/t/up
thing C:/t/up/x
thing/ C:/t/e
tree C:/t/new
tree C:/t/new/
tree C:/t/e
tree C:/t/e/
tree C:/t/file
tree C:/t/ld
tree C:/t/lfile
tree/ C:/t/new
tree/ C:/t/e
tree/. C:/t/new
tree/. C:/t/e
tree/. C:/t/file
tree/sub/.. C:/t/e
. C:/t/e
./thing C:/t/e
./tree C:/t/none/x
linkthing C:/t/e
linkthing C:/t/new
linkthere C:/t/e
linkthere/ C:/t/e
linkthere/. C:/t/e
-L linkthing C:/t/e
-L linkthing C:/t/new
-L linkthere C:/t/e
-L linkthere C:/t/new
-L linkthere/. C:/t/new
-L linknew C:/t/e
-a tree C:/t/e
owned C:/t/e
-a owned C:/t/e
missing C:/t/e
tree/sub C:/t/d
subfile/sub C:/t/d
fdir/f C:/t
fdir/d C:/t
C:/t/d C:/t/e
thing there
C:/t/d -
C:/t/d/. -
C:/t/d/ -
C:/t/ld -
C:/t/ld/ -
-L C:/t/ld -
C:/t/file -
- C:/t/e
- C:/t/e/
- C:/t/ld
- C:/t/new
- C:/t/file
X:/t thing
thing X:/t
C: there
thing C:
""".strip().splitlines()


class Side:
    """One engine with a container `c`, made anew for each scene, and what the command lines name here."""

    def __init__(self, engine):
        self.engine = engine

    def begin(self, *, running=True):
        self.place = tempfile.mkdtemp(dir="/tmp")
        _fill(self.place)
        if not self("ps", "-aq", "--filter", "name=one").stdout:
            self("run", "-d", "--name", "one", "--network", "none", "tiny", "sleep", "1000")
        self("start", "one")
        done = self("exec", "one", "sh", "-c", INSIDE)
        assert done.returncode == 0, done.stderr
        if not running:
            self("kill", "one")

    def __call__(self, *words, stdin=b""):
        return self.engine(*words, stdin=stdin, cwd=self.place)

    def copy(self, scene):
        """The exit code, and what is there afterwards."""
        words = [word.replace("C:", "one:").replace("X:", "x:") for word in scene.split()]
        stdin = _archive() if words[0] == "-" else b""
        done = self("cp", *words, stdin=stdin)
        told = [f"exit {done.returncode}"]
        if words[-1] == "-":
            told += _listed_archive(done.stdout)
        return told + _listed(self.place), self._inside(), done

    def _inside(self):
        done = self("cp", "one:/t", "-")
        return _listed_archive(done.stdout)

    def end(self):
        shutil.rmtree(self.place)


def _fill(place):
    os.makedirs(f"{place}/tree/sub/deep")
    for name in ("thing", "tree/a", "tree/sub/b", "owned"):
        with open(f"{place}/{name}", "w") as file:
            file.write(name)
    for name in ("there", "clash", "dirclash/f", "subfile", "fdir/f"):
        os.makedirs(f"{place}/{name}")
    for name in ("clash/sub", "subfile/sub", "fdir/d"):
        with open(f"{place}/{name}", "w") as file:
            file.write(name)
    os.symlink("thing", f"{place}/linkthing")
    os.symlink("there", f"{place}/linkthere")
    os.symlink("new", f"{place}/linknew")
    os.symlink("a", f"{place}/tree/link")
    os.chown(f"{place}/owned", 1234, 2345)
    os.chmod(f"{place}/owned", 0o4711)
    os.chown(f"{place}/tree/sub", 1234, 2345)
    os.chmod(f"{place}/tree/sub", 0o700)
    os.link(f"{place}/tree/a", f"{place}/tree/hard")


def _archive():
    import io

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind in (("in", tarfile.DIRTYPE), ("in/x", tarfile.REGTYPE), ("bare/y", tarfile.REGTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.uid, entry.gid, entry.mode = kind, 77, 78, 0o751
            archive.addfile(entry)
    return out.getvalue()


def _listed(place):
    told = []
    for directory, names, files in os.walk(place):
        for name in sorted(names + files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            what = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
            if stat.S_ISREG(status.st_mode):
                what = open(path, errors="replace").read(99).strip()
            shown = "" if stat.S_ISLNK(status.st_mode) else f"{stat.S_IMODE(status.st_mode):o} "
            links = status.st_nlink if not stat.S_ISDIR(status.st_mode) else ""
            told.append(f"{os.path.relpath(path, place)} {shown}{status.st_uid}:{status.st_gid} {links} {what}")
    return sorted(told)


def _listed_archive(data):
    import io

    told = []
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for entry in archive:
                mode = "" if entry.issym() else f"{entry.mode & 0o7777:o} "
                content = archive.extractfile(entry).read() if entry.isreg() else entry.linkname
                told.append(f"{entry.name} {entry.type} {mode}{entry.uid}:{entry.gid} {content}")
    except tarfile.ReadError as error:
        told.append(str(error))
    return sorted(told)


@pytest.fixture(scope="module")
def sides(tmp_path_factory, rootfs):
    wherry = Wherry(tmp_path_factory.mktemp("wherry"))
    docker = Docker(str(tmp_path_factory.mktemp("docker")))
    try:
        for side in (docker, wherry):
            done = side("build", "-q", "-t", "tiny", str(rootfs), timeout=200)
            assert done.returncode == 0, done.stderr
        yield Side(docker), Side(wherry)
    finally:
        docker.destroy()
        wherry.destroy()


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize("scene", SCENES)
def test_the_same_is_there_afterwards(sides, scene, running):
    told = []
    for side in sides:
        side.begin(running=running)
        try:
            told.append(side.copy(scene))
        finally:
            side.end()
    (there, inside, docker), (our_there, our_inside, wherry) = told
    words = f"{docker.stderr.decode()}\n{wherry.stderr.decode()}"
    assert our_there == there, words
    assert our_inside == inside, words
