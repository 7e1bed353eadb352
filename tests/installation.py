"""A whole installation of its own for the tests that run containers: root, run directory, bridge, a small image."""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

PROGRAMS = (
    "sh cat ls sleep true false id env echo head seq touch mkdir rm ln chmod chown stat readlink test dd tail wc sort"
    " kill printf date stty tty perl mknod mount uname hostname grep"
).split()


def pytest_collection_modifyitems(items):
    for item in items:
        if "wherry" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.root)


def make_rootfs(target):
    """The host's own small programs with their libraries, and perl to serve HTTP with."""
    for name in ("bin", "usr/bin", "etc", "tmp", "root", "lib", "lib64"):
        os.makedirs(f"{target}/{name}", exist_ok=True)
    os.chmod(f"{target}/tmp", 0o1777)
    for name in PROGRAMS:
        path = shutil.which(name)
        if path is None:
            continue
        shutil.copy(os.path.realpath(path), f"{target}/bin/{name}")
        listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for word in listed.split():
            if word.startswith("/") and not os.path.exists(target + word):
                os.makedirs(os.path.dirname(target + word), exist_ok=True)
                shutil.copy(os.path.realpath(word), target + word)
    for modules in glob.glob("/usr/lib/*/perl-base"):
        shutil.copytree(modules, target + modules, symlinks=True)
    with open(f"{target}/etc/passwd", "w") as file:
        file.write("root:x:0:0:root:/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n")
    with open(f"{target}/etc/group", "w") as file:
        file.write("root:x:0:\nana:x:1000:\nextra:x:1001:ana\n")


SERVE = (
    "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort=>80, Listen=>9, ReuseAddr=>1) or die; $| = 1;"
    ' print "ready\\n"; while (my $c = $s->accept) { <$c>; print $c "HTTP/1.0 200 OK\\r\\n\\r\\nhello $ENV{NAME}\\n";'
    " close $c }"
)


class Installation:
    """Runs `wherry` for one root; `tiny` is its image."""

    def __init__(self, directory):
        self.root, self.run = f"{directory}/root", f"{directory}/run"
        self.environment = {**os.environ, "WHERRY_ROOT": self.root, "WHERRY_RUN": self.run, "HOME": str(directory)}
        self.environment.pop("WHERRY_DEBUG", None)

    prefix = ()

    def start(self, *arguments, **options):
        argv = [*self.prefix, sys.executable, "-I", "-m", "wherry", *arguments]
        return subprocess.Popen(argv, env=self.environment, **options)

    def __call__(self, *arguments, check=True, stdin=b"", cwd=None, timeout=120):
        argv = [*self.prefix, sys.executable, "-I", "-m", "wherry", *arguments]
        done = subprocess.run(
            argv, env=self.environment, input=stdin, capture_output=True, check=False, cwd=cwd, timeout=timeout
        )
        done.out, done.err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        if check:
            assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.out}\n{done.err}"
        return done

    def inspect(self, name):
        return json.loads(self("inspect", name).out)[0]

    def tag(self):
        from wherry.base.paths import Layout

        return Layout(self.root, self.run).tag

    def leftovers(self):
        """Everything on the machine that carries this installation's mark, but its bridge and its rules' table."""
        tag = self.tag()
        found = []
        with open("/proc/self/mountinfo") as table:
            found += [line.split()[4] for line in table if f" {self.run}/" in line or f" {self.root}/" in line]
        found += [
            f"/sys/class/net/{name}"
            for name in os.listdir("/sys/class/net")
            if name.startswith(f"wh{tag}") and name != f"wh{tag}0"
        ]
        found += glob.glob(f"/sys/fs/cgroup/*/wherry-{tag}/*/") + glob.glob(f"/sys/fs/cgroup/wherry-{tag}/*/")
        found += glob.glob(f"{self.root}/containers/*") + glob.glob(f"{self.run}/containers/*")
        found += glob.glob(f"{self.run}/builds/*") + glob.glob(f"{self.run}/runtime/*")
        found += glob.glob(f"{self.run}/locks/container-*")
        for pid in os.listdir("/proc"):
            if pid.isdigit():
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as file:
                        command = file.read()
                except OSError:
                    continue
                if f"{self.run}/".encode() in command:
                    found.append(f"process {pid}: {command[:200]!r}")
        rules = subprocess.run(
            ["nft", "list", "table", "ip", f"wherry-{tag}"], capture_output=True, text=True, check=False
        )
        found += [line for line in rules.stdout.splitlines() if "elements" in line]
        return found

    def destroy(self):
        from wherry.base.paths import Layout
        from wherry.network import Firewall, Wanted

        self("ps", "-aq", check=False)
        for identifier in self("ps", "-aq").out.split():
            self("rm", "-f", "-v", identifier)
        firewall = Firewall(Layout(self.root, self.run), lambda: Wanted((), ()))
        firewall.drop_bridge(f"wh{self.tag()}0")
        firewall.remove()
        self.remove_cgroups()

    def remove_cgroups(self):
        for path in (f"/sys/fs/cgroup/*/wherry-{self.tag()}", f"/sys/fs/cgroup/wherry-{self.tag()}"):
            for directory in glob.glob(path):
                os.rmdir(directory)


def eventually(condition, seconds=10.0):
    """Wait until `condition()` is true (what the kernel tears down in its own time), or fail with what it says."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return value


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory):
    target = tmp_path_factory.mktemp("rootfs") / "context"
    make_rootfs(str(target / "rootfs"))
    (target / "Dockerfile").write_text('FROM scratch\nCOPY rootfs/ /\nENV NAME=tiny\nCMD ["sh"]\n')
    return target


@pytest.fixture(scope="session")
def wherry(tmp_path_factory, rootfs):
    """The installation that tests share; when all are done, nothing of it may be left on the machine."""
    if os.geteuid():
        pytest.skip("containers need root")
    installation = Installation(tmp_path_factory.mktemp("installation"))
    installation("build", "-q", "-t", "tiny", str(rootfs))
    yield installation
    for identifier in installation("ps", "-aq").out.split():
        installation("rm", "-f", "-v", identifier)
    left = None

    def nothing_left():
        nonlocal left
        left = installation.leftovers()
        return not left

    try:
        eventually(nothing_left)
    except AssertionError:
        pytest.fail(f"left behind: {left}")
    finally:
        installation.destroy()


@pytest.fixture
def name(wherry, request):
    """A container name that is free, and is free again afterwards."""
    chosen = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name).rstrip("-")[:60]
    yield chosen
    wherry("rm", "-f", "-v", chosen, check=False)


@pytest.fixture(name="eventually")
def _eventually():
    return eventually


@pytest.fixture(scope="session")
def serve():
    """A program for perl that answers HTTP on port 80."""
    return SERVE
