"""`run` and its like, as a user of Docker would try them."""

import contextlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest


def free_port():
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def get(url):
    try:
        return urllib.request.urlopen(url, timeout=5).read().decode()
    except OSError:
        return ""


def test_streams_and_exit_code_come_through(wherry):
    done = wherry("run", "--rm", "tiny", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.out, done.err, done.returncode) == ("out\n", "err\n", 7)


def test_nothing_of_a_long_output_is_lost(wherry):
    assert wherry("run", "--rm", "tiny", "seq", "200000").out.count("\n") == 200000


def test_input_ends_where_ours_ends(wherry):
    assert wherry("run", "--rm", "-i", "tiny", "cat", stdin=b"x" * 300_000).stdout == b"x" * 300_000


def test_without_interactive_the_input_is_empty(wherry):
    assert wherry("run", "--rm", "tiny", "cat", stdin=b"ignored").out == ""


@pytest.mark.parametrize(
    ("command", "code"),
    [(("nope",), 127), ((".",), 127), (("/etc",), 126), (("/etc/passwd",), 126), (("/no/such",), 127)],
)
def test_commands_that_cannot_run_have_dockers_codes(wherry, command, code):
    done = wherry("run", "--rm", "tiny", *command, check=False)
    assert done.returncode == code
    assert "OCI runtime create failed" in done.err


def test_a_signal_is_128_and_its_number(wherry):
    assert wherry("run", "--rm", "--init", "tiny", "sh", "-c", "kill -TERM $$", check=False).returncode in (
        143,
        128 + 15,
    )


def test_wrong_flags_are_125(wherry):
    done = wherry("run", "--nope", "tiny", check=False)
    assert done.returncode == 125
    assert "unknown flag: --nope" in done.err
    assert wherry("run", check=False).returncode == 1
    assert wherry("run", "no-such-image-here", check=False).returncode == 125


def test_what_a_container_is_given_is_read_by_its_owner_alone(wherry, name):
    wherry("run", "-d", "--name", name, "-e", "TOKEN=for-no-other-eyes", "--health-cmd", "true", "tiny", "sleep", "99")
    search = ["grep", "-rlF", "--devices=skip", "--exclude=netns", "for-no-other-eyes", wherry.root, wherry.run]
    told = subprocess.run(search, stdout=subprocess.PIPE, text=True, check=False).stdout
    held = [Path(line) for line in told.splitlines()]
    assert {path.name for path in held} >= {"config.json", "health-process.json"}
    assert [path for path in held if path.stat().st_mode & 0o077] == []


def test_environment_user_directory_and_hostname(wherry):
    script = "id -u; id -g; pwd; echo $A $NAME $HOME; hostname"
    arguments = ["--rm", "-e", "A=b", "-u", "ana", "-w", "/var/x", "--hostname", "harbour"]
    out = wherry("run", *arguments, "tiny", "sh", "-c", script).out.splitlines()
    assert out == ["1000", "1000", "/var/x", "b tiny /home/ana", "harbour"]


def test_entrypoint_replaces_and_drops_the_command(wherry):
    assert wherry("run", "--rm", "--entrypoint", "echo", "tiny", "one", "two").out == "one two\n"


def test_confinement_is_dockers(wherry):
    script = "grep -E 'CapPrm|CapEff|CapBnd|CapInh|CapAmb|Seccomp:|NoNewPrivs' /proc/self/status"
    lines = dict(line.split(":\t") for line in wherry("run", "--rm", "tiny", "sh", "-c", script).out.splitlines())
    assert lines["CapPrm"] == lines["CapEff"] == lines["CapBnd"] == "00000000a80425fb"
    assert lines["CapInh"] == lines["CapAmb"] == "0000000000000000"
    assert lines["Seccomp"] == "2"
    assert wherry("run", "--rm", "tiny", "mount", "-t", "tmpfs", "x", "/tmp", check=False).returncode != 0
    assert wherry("run", "--rm", "tiny", "sh", "-c", "cat /proc/kcore | head -c 1 | wc -c").out.strip() == "0"
    assert wherry("run", "--rm", "tiny", "sh", "-c", "echo 1 > /proc/sys/kernel/sysrq", check=False).returncode != 0


def test_capabilities_are_dropped_and_added(wherry):
    script = "grep CapEff /proc/self/status"
    assert "0000000000000000" in wherry("run", "--rm", "--cap-drop", "ALL", "tiny", "sh", "-c", script).out
    only = wherry("run", "--rm", "--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE", "tiny", "sh", "-c", script)
    assert "0000000000000400" in only.out
    assert "invalid capability" in wherry("run", "--cap-add", "NOPE", "tiny", check=False).err


def test_no_descriptor_leaks_into_the_container(wherry):
    port = free_port()
    out = wherry("run", "--rm", "-p", f"{port}:80", "tiny", "sh", "-c", "ls /proc/1/fd").out.split()
    assert out == ["0", "1", "2"]


def test_privileged_gets_what_the_machine_holds_and_says_what_it_does_not(wherry, name):
    from wherry.kernel.capabilities import ALL, held

    wherry("run", "-d", "--name", name, "--privileged", "tiny", "sleep", "100")
    missing = [each for each in ALL if each not in held()]
    assert wherry.inspect(name)["HostConfig"]["CapabilitiesNotHeld"] == missing
    assert wherry("exec", name, "mount", "-t", "tmpfs", "x", "/tmp").returncode == 0


def test_limits_reach_the_control_group(wherry, name):
    wherry("run", "-d", "--name", name, "-m", "64m", "--cpus", "0.5", "--pids-limit", "50", "tiny", "sleep", "100")
    identifier = wherry.inspect(name)["Id"]
    base = f"/sys/fs/cgroup/memory/wherry-{wherry.tag()}/{identifier}/memory.limit_in_bytes"
    if not os.path.exists(base):
        base = f"/sys/fs/cgroup/wherry-{wherry.tag()}/{identifier}/memory.max"
    with open(base) as file:
        assert int(file.read()) == 64 << 20


def test_a_container_that_uses_too_much_memory_is_killed_and_says_so(wherry, name, tmp_path):
    eat = 'my $x = "x" x 200_000_000; print length $x'
    arguments = ("--name", name, "-m", "32m", "--memory-swap", "32m", "tiny", "perl", "-e", eat)
    done = wherry("run", *arguments, check=False, cwd=tmp_path)
    assert done.returncode == 137
    assert wherry.inspect(name)["State"]["OOMKilled"] is True
    assert os.listdir(tmp_path) == []


def test_a_detached_container_does_not_hold_the_directory_it_was_started_in(wherry, name, tmp_path):
    wherry("run", "-d", "--name", name, "tiny", "sleep", "60", cwd=tmp_path)
    directories = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            directories.add(os.readlink(f"/proc/{pid}/cwd"))
    assert str(tmp_path) not in directories


def test_read_only_tmpfs_and_mounts(wherry, tmp_path):
    (tmp_path / "in").write_text("from the host")
    arguments = ["--rm", "--read-only", "--tmpfs", "/scratch:size=1m", "-v", f"{tmp_path}:/data:ro"]
    script = "cat /data/in; touch /scratch/x && echo yes; touch /x || echo no; touch /data/x || echo ro"
    done = wherry("run", *arguments, "tiny", "sh", "-c", script)
    assert done.out == "from the host" + "yes\nno\nro\n"
    missing = wherry("run", "--rm", "--mount", "type=bind,source=/no/such,target=/x", "tiny", check=False)
    assert missing.returncode == 125
    assert "bind source path does not exist" in missing.err


def test_a_named_volume_outlives_its_containers_and_is_filled_once(wherry, name):
    volume = f"v-{os.getpid()}"
    wherry("run", "--rm", "-v", f"{volume}:/etc", "tiny", "sh", "-c", "echo more > /etc/more")
    assert (
        wherry("run", "--rm", "-v", f"{volume}:/x", "tiny", "sh", "-c", "cat /x/more; ls /x/passwd").out
        == "more\n/x/passwd\n"
    )
    wherry("create", "--name", name, "-v", f"{volume}:/x", "tiny")
    assert "volume is in use" in wherry("volume", "rm", volume, check=False).err
    wherry("rm", name)
    wherry("volume", "rm", volume)
    assert volume not in wherry("volume", "ls", "-q").out.split()


def test_a_detached_container_lives_until_it_is_stopped(wherry, name, eventually):
    identifier = wherry(
        "run",
        "-d",
        "--name",
        name,
        "tiny",
        "sh",
        "-c",
        "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done",
    ).out.strip()
    assert len(identifier) == 64
    eventually(lambda: "up" in wherry("logs", name).out)
    assert wherry("ps", "-q", "--no-trunc").out.split().count(identifier) == 1
    assert wherry("stop", name).out == f"{name}\n"
    state = wherry.inspect(name)["State"]
    assert (state["Status"], state["ExitCode"], state["Running"]) == ("exited", 3, False)
    assert wherry("logs", name).out == "up\nbye\n"
    wherry("start", name)
    assert wherry.inspect(name)["State"]["Running"] is True
    assert "cannot remove a running container" in wherry("rm", name, check=False).err


def test_the_end_of_a_detached_container_is_recorded_without_anybody_asking(wherry, name, eventually):
    wherry("run", "-d", "--rm", "--name", name, "tiny", "true")
    eventually(lambda: not os.path.isdir(f"{wherry.run}/containers") or not os.listdir(f"{wherry.run}/containers"))
    assert "No such container" in wherry("rm", name, check=False).err


def test_restart_policy_counts_and_gives_up(wherry, name, eventually):
    wherry("run", "-d", "--name", name, "--restart", "on-failure:2", "tiny", "sh", "-c", "echo run; exit 1")
    eventually(
        lambda: wherry.inspect(name)["State"]["Status"] == "exited" and wherry.inspect(name)["RestartCount"] == 2
    )
    assert wherry("logs", name).out == "run\n" * 3


def test_a_stopped_container_stays_stopped(wherry, name):
    wherry("run", "-d", "--name", name, "--restart", "always", "tiny", "sleep", "100")
    wherry("stop", "-t", "0", name)
    assert wherry.inspect(name)["State"]["Status"] == "exited"


def test_restart_always_comes_back_with_its_port(wherry, name, eventually, serve):
    port = free_port()
    wherry("run", "-d", "--name", name, "--restart", "always", "-p", f"{port}:80", "tiny", "perl", "-e", serve)
    eventually(lambda: get(f"http://127.0.0.1:{port}") == "hello tiny\n")
    first = wherry.inspect(name)["State"]["Pid"]
    os.kill(first, signal.SIGKILL)
    eventually(lambda: wherry.inspect(name)["State"]["Pid"] not in (0, first))
    eventually(lambda: get(f"http://127.0.0.1:{port}") == "hello tiny\n")


def test_published_ports_are_reached_from_everywhere_and_given_back(wherry, name, eventually, serve):
    port = free_port()
    wherry("run", "-d", "--name", name, "-p", f"{port}:80", "-e", "NAME=web", "tiny", "perl", "-e", serve)
    eventually(lambda: get(f"http://127.0.0.1:{port}") == "hello web\n")
    own = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    for address in [each for each in own if "." in each][:1]:
        assert get(f"http://{address}:{port}") == "hello web\n"
        ask = (
            f'use IO::Socket::INET; my $s = IO::Socket::INET->new(PeerAddr=>"{address}:{port}") or die "no";'
            ' print $s "x\\n"; print <$s>'
        )
        assert "hello web" in wherry("run", "--rm", "tiny", "perl", "-e", ask).out
        assert "hello web" in wherry("exec", name, "perl", "-e", ask).out
    taken = wherry("run", "--rm", "-p", f"{port}:80", "tiny", "true", check=False)
    assert taken.returncode == 125
    assert "port is already allocated" in taken.err
    assert f"0.0.0.0:{port}" in wherry("port", name, "80").out
    assert wherry.inspect(name)["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"] == str(port)
    wherry("rm", "-f", name)
    assert get(f"http://127.0.0.1:{port}") == ""
    with socket.socket() as again:
        again.bind(("", port))


def test_a_port_of_the_host_alone_is_not_published_elsewhere(wherry, name, eventually, serve):
    port = free_port()
    wherry("run", "-d", "--name", name, "-p", f"127.0.0.1:{port}:80", "tiny", "perl", "-e", serve)
    eventually(lambda: get(f"http://127.0.0.1:{port}") == "hello tiny\n")
    own = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    for address in [each for each in own if "." in each][:1]:
        assert get(f"http://{address}:{port}") == ""


def test_networks_none_and_host(wherry):
    assert wherry("run", "--rm", "--network", "none", "tiny", "ls", "/sys/class/net").out == "lo\n"
    host = set(os.listdir("/sys/class/net"))
    assert set(wherry("run", "--rm", "--network", "host", "tiny", "ls", "/sys/class/net").out.split()) >= host - {
        "docker0"
    } - {each for each in host if each.startswith("wh")}


def test_names_are_resolved_as_asked(wherry):
    arguments = ["--rm", "--add-host", "db:10.1.2.3", "--dns", "192.0.2.53", "--dns-search", "example.org"]
    out = wherry("run", *arguments, "tiny", "sh", "-c", "cat /etc/hosts /etc/resolv.conf").out
    assert "10.1.2.3\tdb" in out
    assert "nameserver 192.0.2.53" in out
    assert "search example.org" in out


def test_exec_runs_beside_with_its_own_settings(wherry, name, eventually):
    wherry("run", "-d", "--name", name, "-e", "A=1", "tiny", "sleep", "100")
    done = wherry(
        "exec", "-e", "B=2", "-w", "/tmp", "-u", "ana", name, "sh", "-c", "echo $A $B; pwd; id -un; exit 5", check=False
    )
    assert (done.out, done.returncode) == ("1 2\n/tmp\nana\n", 5)
    assert wherry("exec", "-i", name, "cat", stdin=b"through").out == "through"
    assert wherry("exec", name, "nope", check=False).returncode == 127
    in_terminal = wherry("exec", "-t", name, "sh", "-c", "test -t 1 && echo yes; exit 3", check=False)
    assert (in_terminal.out, in_terminal.returncode) == ("yes\n", 3)
    wherry("exec", "-d", name, "sh", "-c", "echo done > /tmp/mark")
    eventually(lambda: wherry("exec", name, "cat", "/tmp/mark", check=False).out == "done\n")
    wherry("stop", "-t", "0", name)
    assert "is not running" in wherry("exec", name, "true", check=False).err


def test_logs_follow_until_the_end(wherry, name):
    wherry(
        "run",
        "-d",
        "--name",
        name,
        "tiny",
        "sh",
        "-c",
        "for i in 1 2 3; do echo line $i; sleep 0.1; done; echo oops >&2",
    )
    done = wherry("logs", "-f", name, timeout=20)
    assert done.out == "line 1\nline 2\nline 3\n"
    assert done.err == "oops\n"
    assert wherry("logs", "--tail", "1", name).err == "oops\n"
    assert wherry("logs", "-t", "--tail", "2", name).out.endswith("Z line 3\n")


def test_a_terminal_is_a_terminal_of_the_right_size(wherry):
    import fcntl
    import struct
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 77, 0, 0))
    script = "tty >/dev/null && echo terminal; stty size"
    child = wherry.start(
        "run",
        "--rm",
        "-it",
        "tiny",
        "sh",
        "-c",
        f"sleep 0.3; {script}",
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    seen = b""
    while select.select([leader], [], [], 20)[0]:
        try:
            data = os.read(leader, 4096)
        except OSError:
            break
        if not data:
            break
        seen += data
    assert child.wait(20) == 0
    assert b"terminal" in seen
    assert b"31 77" in seen
    os.close(leader)


def test_interrupting_run_interrupts_the_container(wherry, name):
    script = "trap 'echo got it; exit 9' INT; echo up; while :; do sleep 0.05; done"
    arguments = ["run", "--name", name, "tiny", "sh", "-c", script]
    child = wherry.start(*arguments, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert child.stdout.readline() == b"up\n"
    child.send_signal(signal.SIGINT)
    assert child.stdout.read() == b"got it\n"
    assert child.wait(20) == 9


def test_lists_filter_and_format(wherry, name):
    wherry("create", "--name", name, "--label", "kind=test", "tiny", "sleep", "1")
    assert (
        wherry("ps", "-a", "--filter", "label=kind=test", "--format", "{{.Names}} {{.Status}}").out
        == f"{name} Created\n"
    )
    assert wherry("ps", "-a", "--filter", f"name={name}", "--filter", "status=running", "-q").out == ""
    value = json.loads(wherry("ps", "-a", "--filter", f"name={name}", "--format", "json").out)
    assert value["Names"] == name
    assert wherry("inspect", "-f", "{{.Name}} {{json .Config.Cmd}}", name).out == f'/{name} ["sleep","1"]\n'
    missing = wherry("inspect", "no-such-thing", check=False)
    assert (missing.out, missing.returncode) == ("[]\n", 1)


def test_names_are_taken_once(wherry, name):
    wherry("create", "--name", name, "tiny")
    again = wherry("create", "--name", name, "tiny", check=False)
    assert again.returncode == 125
    assert f'The container name "/{name}" is already in use by container' in again.err


def test_wait_prints_the_exit_code(wherry, name):
    wherry("run", "-d", "--name", name, "tiny", "sh", "-c", "sleep 0.2; exit 4")
    assert wherry("wait", name).out == "4\n"


def test_pause_and_unpause(wherry, name):
    wherry("run", "-d", "--name", name, "tiny", "sleep", "100")
    wherry("pause", name)
    assert wherry.inspect(name)["State"]["Status"] == "paused"
    wherry("unpause", name)
    wherry("kill", name)
    assert wherry.inspect(name)["State"]["ExitCode"] == 137


def test_top_shows_the_containers_processes_only(wherry, name):
    wherry("run", "-d", "--name", name, "tiny", "sleep", "12345")
    lines = wherry("top", name).out.splitlines()
    assert len(lines) == 2
    assert "sleep 12345" in lines[1]


def test_a_name_filter_is_a_regular_expression_and_labels_must_all_fit(wherry, name):
    wherry("create", "--name", f"{name}-longer", "--label", "a=1", "tiny")
    wherry("create", "--name", name, "--label", "a=1", "--label", "b=2", "tiny")
    try:
        assert wherry("ps", "-a", "--filter", f"name=^{name}$", "--format", "{{.Names}}").out == f"{name}\n"
        both = ["ps", "-a", "--filter", "label=a=1", "--filter", "label=b=2", "--format", "{{.Names}}"]
        assert wherry(*both).out == f"{name}\n"
    finally:
        wherry("rm", f"{name}-longer")


def test_a_bare_variable_that_is_not_set_removes_the_images(wherry):
    assert wherry("run", "--rm", "-e", "NAME", "tiny", "sh", "-c", "echo ${NAME-gone}").out == "gone\n"


def test_a_taken_cidfile_leaves_no_container(wherry, tmp_path):
    (tmp_path / "cid").write_text("x")
    before = wherry("ps", "-aq").out
    assert wherry("create", "--cidfile", str(tmp_path / "cid"), "tiny", check=False).returncode == 125
    assert wherry("ps", "-aq").out == before


def test_a_bug_is_told_as_one_and_never_as_a_traceback(wherry):
    done = wherry("inspect", b"\xff", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.err


def test_exec_has_the_limits_of_the_container(wherry, name):
    wherry("run", "-d", "--name", name, "--ulimit", "nofile=100:200", "tiny", "sleep", "300")
    assert wherry("exec", name, "sh", "-c", "ulimit -Sn; ulimit -Hn").out == "100\n200\n"


def test_on_the_hosts_network_a_container_has_the_hosts_name(wherry, name):
    wherry("create", "--name", name, "--network", "host", "tiny", "true")
    assert wherry.inspect(name)["Config"]["Hostname"] == os.uname().nodename
