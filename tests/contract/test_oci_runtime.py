"""What Wherry asks of an OCI runtime, asked of each: create, start, kill, exec, delete, run to the end."""

import os
import shutil

import pytest

from wherry.base.errors import CommandNotExecutable, CommandNotFound
from wherry.base.paths import Layout
from wherry.kernel import cgroups
from wherry.kernel.mounts import overlay, unmount_below
from wherry.oci.runtime_spec import SpecRequest, build_process, build_spec
from wherry.runtime.execution import execute, run_to_end
from wherry.runtime.oci_runtime import Launch, OciRuntime
from wherry.runtime.probe import why_not

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="containers need root")]


@pytest.fixture(params=["runc", "crun"])
def runtime(request, tmp_path):
    path = shutil.which(request.param)
    if path is None:
        pytest.skip(f"{request.param} is not installed")
    reason = why_not(path, str(tmp_path / "probe"))
    if reason:
        pytest.skip(f"{request.param} does not work on this machine: {reason}")
    return OciRuntime(Layout(str(tmp_path / "root"), str(tmp_path / "run")), path)


class Box:
    """A container of the small root file system, with a name and a control group of its own."""

    def __init__(self, runtime, rootfs, tmp_path):
        self.runtime, self.id = runtime, "c" + os.urandom(31).hex()
        self.cgroup = f"/wherry-contract-{self.id[:8]}"
        self.bundle = runtime.bundle(self.id)
        self.log = str(tmp_path / "log")
        os.makedirs(f"{self.bundle}/rootfs")
        for name in ("upper", "work"):
            (tmp_path / name).mkdir()
        overlay([str(rootfs / "rootfs")], str(tmp_path / "upper"), str(tmp_path / "work"), f"{self.bundle}/rootfs")

    def request(self, *args, **options):
        namespaces = {"mount": "", "pid": "", "ipc": "", "uts": "", "network": ""}
        defaults = {"cwd": "/", "env": ("PATH=/bin",), "rootfs": f"{self.bundle}/rootfs", "cgroup_path": self.cgroup}
        return SpecRequest(args=args, namespaces=namespaces, hostname="box", **{**defaults, **options})

    def create(self, *args, **options):
        self.runtime.write_bundle(self.id, build_spec(self.request(*args, **options)))
        return self.runtime.create(Launch(self.id, self.log, ("/bin/true",)))

    def run(self, *args, **options):
        said = []
        self.runtime.write_bundle(self.id, build_spec(self.request(*args, **options)))
        code = run_to_end(self.runtime, self.id, self.bundle, lambda stream, data: said.append((stream, data)))
        return code, {stream: b"".join(data for one, data in said if one == stream) for stream in (1, 2)}

    def logged(self):
        with open(self.log) as file:
            return [line.split(" ", 3)[1:] for line in file.read().splitlines()]


@pytest.fixture
def box(runtime, rootfs, tmp_path):
    made = Box(runtime, rootfs, tmp_path)
    yield made
    runtime.delete(made.id, made.cgroup)
    unmount_below(made.bundle)
    assert not os.path.exists(f"{tmp_path}/run/runtime/{made.id}")
    assert not cgroups.process_ids(made.cgroup)


def test_nothing_runs_before_start_and_the_end_is_written(box):
    state = box.create("sh", "-c", "echo out; echo err >&2; exit 7")
    assert os.path.exists(f"/proc/{state.pid}")
    assert box.logged() == []
    assert box.runtime.read_exit(box.id) is None
    box.runtime.start(box.id)
    assert box.runtime.wait(box.id, timeout=20)
    assert box.runtime.read_exit(box.id).code == 7
    assert sorted(box.logged()) == [["stderr", "F", "err"], ["stdout", "F", "out"]]


def test_a_signal_reaches_the_first_process(box, eventually):
    box.create("sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done")
    box.runtime.start(box.id)
    eventually(lambda: box.logged())
    box.runtime.kill(box.id, "TERM")
    assert box.runtime.wait(box.id, timeout=20)
    assert box.runtime.read_exit(box.id).code == 3


def test_a_killed_process_gives_128_and_the_signal(box):
    box.create("sleep", "1000")
    box.runtime.start(box.id)
    box.runtime.kill(box.id, "KILL")
    assert box.runtime.wait(box.id, timeout=20)
    assert box.runtime.read_exit(box.id).code == 137


def test_a_further_process_runs_beside_the_first(box, capfd):
    box.create("sleep", "1000")
    box.runtime.start(box.id)
    process = build_process(box.request("sh", "-c", "hostname; exit 5"))
    assert execute(box.runtime, box.id, process, detached=False, stdin=False) == 5
    assert capfd.readouterr().out == "box\n"
    with pytest.raises(CommandNotFound):
        execute(box.runtime, box.id, build_process(box.request("absent")), detached=False, stdin=False)


def test_deleting_kills_what_runs_and_may_be_repeated(box):
    state = box.create("sleep", "1000")
    box.runtime.start(box.id)
    box.runtime.delete(box.id, box.cgroup)
    assert box.runtime.wait(box.id, timeout=20)
    box.runtime.delete(box.id, box.cgroup)
    assert not os.path.exists(f"/proc/{state.pid}/root/bin/sleep")


@pytest.mark.parametrize(("command", "error"), [("absent", CommandNotFound), ("/etc/passwd", CommandNotExecutable)])
def test_a_command_that_cannot_run_is_told_apart(box, command, error):
    with pytest.raises(error):
        box.create(command)


@pytest.mark.parametrize(("command", "error"), [("absent", CommandNotFound), ("/etc/passwd", CommandNotExecutable)])
def test_a_command_that_cannot_run_to_its_end_is_told_apart(box, command, error):
    with pytest.raises(error):
        box.run(command)


def test_running_to_the_end_gives_both_streams_and_the_code(box):
    code, said = box.run("sh", "-c", "echo out; echo err >&2; exit 9")
    assert (code, said) == (9, {1: b"out\n", 2: b"err\n"})


def test_the_specification_is_kept(box):
    options = {"uid": 1000, "gid": 1001, "cwd": "/tmp", "env": ("PATH=/bin", "A=b"), "read_only": True}
    code, said = box.run(
        "sh", "-c", "id -u; id -g; hostname; echo $A; stat -c %n .; touch /x || echo read-only", **options
    )
    assert (code, said[1]) == (0, b"1000\n1001\nbox\nb\n.\nread-only\n")
