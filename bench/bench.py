"""Wherry beside Docker, Podman and Buildah, in one run on one machine; prints a table in Markdown.

Each peer that is installed takes part: Docker with a daemon of its own (own data root and socket), Podman and Buildah
with a storage of their own, all on one image and the same contexts. Whole processes are timed, one after another,
the tools taking turns in an order that changes, so that what disturbs one disturbs all; the table shows medians.

Each storage is a file system of its own in a sparse file, where the machine has loop devices: ext4 looks for a free
inode among all that were deleted in the last minutes, so that a tool that removes many files makes the next one slow.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = os.path.realpath(sys.executable)  # outside the environment: a bare interpreter


PLACE, PREFIX = "/var/tmp", "wherry-bench-"
ROWS = ("run", "version", "files", "large", "memory")
_STORAGE = 60 << 30  # bytes, of which only what is written takes room
_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")


class Tool(NamedTuple):
    """A peer: its command line for a run and a build, and its environment."""

    name: str
    version: str
    argv: tuple[str, ...]
    build: tuple[str, ...]
    env: dict[str, str]
    run: tuple[str, ...] = ()  # what its `run` needs on a machine where limits cannot be raised
    image: str = "bench"


def quiet(argv, env=None, check=True, **options):
    return subprocess.run(argv, env=env, check=check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)


def output(argv, env=None):
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False).stdout.strip()


def make_rootfs(path):
    """A root file system of a static busybox, or of the host's shell and its libraries."""
    os.makedirs(f"{path}/bin")
    for name in ("etc", "tmp", "proc", "sys", "dev", "root"):
        os.makedirs(f"{path}/{name}")
    for name in ("sh", "true", "sleep", "cat"):
        source = shutil.which(name)
        shutil.copy(os.path.realpath(source), f"{path}/bin/{name}")
        for word in output(["ldd", source]).split():
            if word.startswith("/") and not os.path.exists(path + word):
                os.makedirs(os.path.dirname(path + word), exist_ok=True)
                shutil.copy(os.path.realpath(word), path + word)
    with open(f"{path}/etc/passwd", "w") as file:
        file.write("root:x:0:0::/root:/bin/sh\n")


def storage(directory, name):
    """A directory for what the tool `name` stores, on a file system of its own where that can be had."""
    path, image = f"{directory}/{name}", f"{directory}/{name}.img"
    os.makedirs(path)
    os.truncate(os.open(image, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC), _STORAGE)
    made = quiet(["mkfs.ext4", "-q", image], check=False).returncode == 0
    if not made or quiet(["mount", "-o", "loop", image, path], check=False).returncode:
        print(f"no file system of its own for {name}: what the others delete may slow it down", file=sys.stderr)
    return path


def load(rootfs, argv, env):
    """Give the root file system to `argv` as a tar; whether that went well."""
    archive = subprocess.Popen(["tar", "-C", rootfs, "-c", "."], stdout=subprocess.PIPE)
    done = quiet(argv, env, check=False, stdin=archive.stdout)
    return archive.wait() == 0 and done.returncode == 0


def wherry_program():
    return shutil.which("wherry") or os.path.join(HERE, "..", ".venv", "bin", "wherry")


def wherry(directory):
    program = wherry_program()
    env = {**os.environ, "WHERRY_ROOT": storage(directory, "wherry"), "WHERRY_RUN": f"{directory}/wherry-run"}
    with open(f"{directory}/Dockerfile.base", "w") as file:
        file.write('FROM scratch\nCOPY rootfs/ /\nCMD ["sh"]\n')
    quiet([program, "build", "-t", "bench", "-f", f"{directory}/Dockerfile.base", directory], env)
    version = output([program, "version", "--format", "{{.Version}}"], env)
    return Tool("wherry", version, (program,), (program, "build", "-q"), env)


def docker(directory, rootfs):
    daemon, client = shutil.which("dockerd"), "/usr/bin/docker"
    if not daemon or not os.path.exists(client):
        return None
    socket = f"unix://{directory}/docker.sock"
    log = open(f"{directory}/dockerd.log", "w")
    subprocess.Popen(
        [daemon, "--data-root", storage(directory, "docker"), "--exec-root", f"{directory}/docker-exec", "-H", socket,
         "-p", f"{directory}/docker.pid", "--bridge", "docker0"],
        stdout=log, stderr=log,
    )  # fmt: skip
    env = {**os.environ, "DOCKER_HOST": socket, "DOCKER_BUILDKIT": "1"}
    deadline = time.monotonic() + 30
    while quiet([client, "version"], env, check=False).returncode and time.monotonic() < deadline:
        time.sleep(0.2)
    load(rootfs, (client, "import", "-", "bench"), env)
    version = output([client, "version", "--format", "{{.Server.Version}}"], env)
    return Tool("docker", version, (client,), (client, "build", "-q"), env)


def podman(directory, rootfs):
    program = shutil.which("podman")
    if not program:
        return None
    argv = (program, "--root", storage(directory, "podman"), "--runroot", f"{directory}/podman-run",
            "--runtime", "runc", "--cgroup-manager", "cgroupfs", "--storage-driver", "overlay")  # fmt: skip
    if not load(rootfs, (*argv, "import", "-", "bench"), None):
        return None
    return Tool(
        "podman", output([program, "version", "--format", "{{.Client.Version}}"]), argv, (), dict(os.environ), _LIMITS
    )


def buildah(directory):
    program = shutil.which("buildah")
    if not program:
        return None
    base = (program, "--root", storage(directory, "buildah"), "--runroot", f"{directory}/buildah-run")
    base = (*base, "--storage-driver", "overlay")
    version = output([program, "--version"]).split()[2]
    return Tool("buildah", version, base, (*base, "bud", "-q", "--layers"), dict(os.environ))


def timed(argv, env, **options):
    os.sync()  # what one tool left to be written is not to weigh on the next
    begun = time.perf_counter()
    quiet(argv, env, **options)
    return time.perf_counter() - begun


def medians(tools: list[Tool], runs: int, once: Callable[[Tool, int], float]) -> dict[str, float]:
    """Each tool's median of `runs`, after one that does not count; the tools take turns in a changing order."""
    order = random.Random(1)
    times: dict[str, list[float]] = {tool.name: [] for tool in tools}
    for number in range(runs + 1):
        for tool in order.sample(tools, len(tools)):
            seconds = once(tool, number)
            if number:
                times[tool.name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def run_true(tool: Tool, _: int) -> float:
    return timed((*tool.argv, "run", "--rm", *tool.run, tool.image, "true"), tool.env)


def build_case(tools: list[Tool], runs: int, context: str, change: Callable[[], None] | None = None):
    """Builds of `context`; before each round `change` makes it a new one, without which it is the one just built.

    Nothing that a build made is removed before the end of all measurements: on ext4, making files is several times
    slower for a while after many were deleted, whoever deleted them.
    """
    builders = [tool for tool in tools if tool.build]

    changed = set()

    def once(tool: Tool, number: int) -> float:
        if change is not None and number not in changed:
            changed.add(number)
            change()
        return timed((*tool.build, "-t", f"case{number}", context), tool.env)

    return medians(builders, runs, once)


def rewriter(path: str) -> Callable[[], None]:
    """Give the first bytes of the file a value that they never had."""

    def change() -> None:
        with open(path, "r+b") as file:
            file.write(os.urandom(64))

    return change


def idle_memory(tools: list[Tool]) -> dict[str, float]:
    """Resident memory (MiB) of what watches over one idle detached container with a published port."""
    found = {}
    for tool in tools:
        if tool.name not in ("wherry", "docker", "podman"):
            continue
        before = resident()
        identifier = output(
            (*tool.argv, "run", "-d", *tool.run, "-p", "127.0.0.1::80", tool.image, "sleep", "1000"), tool.env
        )
        time.sleep(1)
        after = resident()
        own = [size for pid, size in after.items() if pid not in before and is_overhead(command(pid), identifier)]
        found[tool.name] = sum(own) / 1024
        quiet((*tool.argv, "rm", "-f", identifier), tool.env, check=False)
    return found


def is_overhead(line, identifier):
    """Whether a process watches over the container: its monitor, its shim, or a proxy for its ports."""
    return identifier[:64] in line or "docker-proxy" in line


def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def resident():
    """Resident memory (KiB) of every process."""
    sizes = {}
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                with open(f"/proc/{pid}/status") as file:
                    sizes[pid] = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
            except (OSError, StopIteration):
                continue
    return sizes


def write_small(directory: str) -> tuple[str, str]:
    """A context of 20,000 files, and one of them."""
    context = f"{directory}/small"
    for number in range(200):
        os.makedirs(f"{context}/files/{number}")
        for inner in range(100):
            with open(f"{context}/files/{number}/{inner}", "wb") as file:
                file.write(os.urandom(1000))
    write_dockerfile(context, "COPY files /copied/")
    return context, f"{context}/files/0/0"


def write_large(directory: str) -> tuple[str, str]:
    """A context of one file of 1 GB, and that."""
    context = f"{directory}/large"
    os.makedirs(context)
    with open(f"{context}/file", "wb") as file:
        for _ in range(1024):
            file.write(os.urandom(1 << 20))
    write_dockerfile(context, "COPY file /copied")
    return context, f"{context}/file"


def write_dockerfile(context: str, copy: str) -> None:
    with open(f"{context}/Dockerfile", "w") as file:
        file.write(f"FROM scratch\n{copy}\n")


CONTEXTS = {"files": write_small, "large": write_large}


def row(title: str, unit: str, values: dict[str, float], names: list[str], target: str, peer: str = "") -> str:
    """A line of the table; the ratio is to `peer`, or to the best of them."""
    scale = 1000 if unit == "ms" else 1
    digits = 2 if unit == "s" else 1
    cells = [f"{values[name] * scale:,.{digits}f}" if name in values else "-" for name in names]
    others = [value for name, value in values.items() if name == peer or (not peer and name != "wherry")]
    ratio = f"{values['wherry'] / min(others):.2f}" if others and "wherry" in values else "-"
    return f"| {title} ({unit}) | {' | '.join(cells)} | {ratio} | {target} |"


def _machine(runs: int, heavy: int) -> str:
    system = f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}"
    return f"Machine: {system}; medians of {runs} ({heavy} for changed copies), {time.strftime('%Y-%m-%d')}."


def measure(directory: str, runs: int, heavy: int, rows: list[str]) -> None:
    rootfs = f"{directory}/rootfs"
    make_rootfs(rootfs)
    found = [wherry(directory), docker(directory, rootfs), podman(directory, rootfs), buildah(directory)]
    tools = [tool for tool in found if tool is not None]
    names = [tool.name for tool in tools]
    print(f"{_machine(runs, heavy)}\n")
    print(f"| what | {' | '.join(f'{tool.name} {tool.version}' for tool in tools)} | to the best peer | wanted |")
    print(f"|---|{'---|' * len(tools)}---|---|", flush=True)
    if "run" in rows:
        runners = [tool for tool in tools if tool.name != "buildah"]
        say(row("run --rm IMAGE true", "ms", medians(runners, runs, run_true), names, "0.4"))
    if "version" in rows:
        say(_version_row(tools, runs))
    for name, title in (
        ("files", "COPY of 20,000 files, one of them changed"),
        ("large", "COPY of a 1 GB file, changed"),
    ):
        if name not in rows:
            continue
        context, file = CONTEXTS[name](directory)
        say(row(title, "s", build_case(tools, heavy, context, rewriter(file)), names, "0.5"))
        say(row("the same, unchanged", "s", build_case(tools, runs, context), names, "0.5"))
    if "memory" in rows:
        say(row("memory of an idle container, to Docker's", "MiB", idle_memory(tools), names, "0.3", "docker"))


def say(line: str) -> None:
    print(line, flush=True)


def _version_row(tools: list[Tool], runs: int) -> str:
    bare = statistics.median(timed([PYTHON, "-I", "-c", "pass"], None) for _ in range(runs))
    version = statistics.median(timed([*tools[0].argv, "version"], tools[0].env) for _ in range(runs))
    title = f"wherry version, beside {bare * 1000:.1f} of python -I -c pass (ms)"
    return f"| {title} | {version * 1000:.1f} |{' - |' * (len(tools) - 1)} {version / bare:.2f} | 2.5 |"


# What a run leaves is found by its directory, whose name no other has: `owner` in it says whose it is.


@contextlib.contextmanager
def place() -> Iterator[str]:
    """A directory for this run; it is cleaned at the end, at a signal, or by the next run after a `kill -9`."""
    from wherry.base.processes import process_identity

    ending = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for number in ending:
        signal.signal(number, interrupted)
    clean_abandoned()
    directory = tempfile.mkdtemp(prefix=PREFIX, dir=PLACE)
    try:
        with open(f"{directory}/owner", "w") as file:
            file.write(process_identity(os.getpid()))
        yield directory
    finally:
        for number in ending:
            signal.signal(number, signal.SIG_IGN)
        clean(directory)


def clean_abandoned() -> None:
    """Take away what runs left that were killed; directories that do not say whose they are stay."""
    from wherry.base.processes import is_living

    for name in os.listdir(PLACE):
        try:
            with open(f"{PLACE}/{name}/owner") as file:
                owner = file.read()
        except OSError:
            continue
        if name.startswith(PREFIX) and owner and not is_living(owner):
            print(f"taking away {PLACE}/{name}, left by a run that was killed", file=sys.stderr)
            clean(f"{PLACE}/{name}")


def clean(directory: str) -> None:
    """End every process of that run, unmount what it mounted, remove its interfaces, rules and files."""
    from wherry.base.paths import Layout
    from wherry.network import Firewall, Wanted

    for number in (signal.SIGTERM, signal.SIGKILL):
        end_processes(directory, number)
    layout = Layout(f"{directory}/wherry", f"{directory}/wherry-run")
    firewall = Firewall(layout, lambda: Wanted((), ()))
    firewall.drop_bridge(f"wh{layout.tag}0")
    firewall.remove()
    with open("/proc/self/mountinfo") as table:
        points = [line.split()[4] for line in table]
    for point in reversed(points):
        if point.startswith(f"{directory}/"):
            quiet(["umount", "-l", point], check=False)
    shutil.rmtree(directory, ignore_errors=True)


def end_processes(directory: str, number: int) -> None:
    """Send a signal to the daemons, the monitors and the containers of that run, and wait up to 15 seconds."""
    found = [pid for pid in os.listdir("/proc") if pid.isdigit() and belongs(pid, directory)]
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), number)
    deadline = time.monotonic() + 15
    while any(belongs(pid, directory) for pid in found) and time.monotonic() < deadline:
        time.sleep(0.05)


def belongs(pid: str, directory: str) -> bool:
    """Whether a process was started with a path in the directory, or has its root file system there."""
    if int(pid) in (os.getpid(), os.getppid()):
        return False
    try:
        with open(f"/proc/{pid}/mountinfo") as table:
            root = next((line for line in table if line.split()[4] == "/"), "")
    except OSError:
        return False
    return f"{directory}/" in root or f"{directory}/" in command(pid)


def interrupted(number: int, _: object) -> None:
    sys.exit(128 + number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--heavy", type=int, default=10, help="runs of the builds that copy")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"which rows, of {','.join(ROWS)}")
    arguments = parser.parse_args()
    rows = arguments.rows.split(",")
    if not set(rows) <= set(ROWS):
        parser.error(f"--rows takes {','.join(ROWS)}")
    with place() as directory:
        measure(directory, arguments.runs, arguments.heavy, rows)


if __name__ == "__main__":
    main()
