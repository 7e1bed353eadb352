import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import CommandNotExecutable, CommandNotFound, InvalidInput, WherryError
from wherry.kernel.capabilities import ALL, DEFAULT, resolve
from wherry.kernel.seccomp import default_profile
from wherry.runtime.attachment import _KeyWatch
from wherry.runtime.failures import launch_failure
from wherry.runtime.logs import read_log
from wherry.runtime.users import resolve_user


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ('exec: "x": executable file not found in $PATH', CommandNotFound),
        ('{"level":"error","msg":"exec: \\"/x\\": stat /x: no such file or directory"}', CommandNotFound),
        ('time="t" level=error msg="exec: \\"/etc\\": permission denied"', CommandNotExecutable),
        ("exec /x: exec format error", CommandNotExecutable),
        ("cgroup trouble", WherryError),
        ("", WherryError),
    ],
)
def test_failures_are_told_apart(message, kind):
    assert type(launch_failure(message)) is kind


def test_capabilities_are_clamped_to_what_is_held():
    granted, refused = resolve((), (), privileged=True, available=set(ALL) - {"CAP_SYS_RESOURCE"})
    assert refused == ("CAP_SYS_RESOURCE",)
    assert set(granted) == set(ALL) - {"CAP_SYS_RESOURCE"}
    assert set(resolve((), (), privileged=False, available=ALL)[0]) == set(DEFAULT)
    assert resolve(("net_admin",), ("all",), privileged=False, available=ALL)[0] == ("CAP_NET_ADMIN",)
    with pytest.raises(InvalidInput):
        resolve(("nope",), (), privileged=False, available=ALL)


def test_the_profile_follows_the_capabilities():
    def allowed(capabilities):
        rules = default_profile(capabilities, "x86_64")["syscalls"]
        return {
            name
            for rule in rules
            if rule["action"] == "SCMP_ACT_ALLOW" and "args" not in rule
            for name in rule["names"]
        }

    assert "mount" not in allowed(DEFAULT)
    assert "mount" in allowed(("CAP_SYS_ADMIN",))
    assert not {"keyctl", "io_uring_setup", "bpf", "kexec_load", "add_key"} & allowed(DEFAULT)


def test_users(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nana:x:7:8::/home/ana:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nstaff:x:50:ana\n")
    root = str(tmp_path)
    assert resolve_user(root, "") == (0, 0, (), "/root")
    assert resolve_user(root, "ana") == (7, 8, (50,), "/home/ana")
    assert resolve_user(root, "ana:staff") == (7, 50, (), "/home/ana")
    assert resolve_user(root, "7", ("staff",)) == (7, 8, (50,), "/home/ana")
    assert resolve_user(root, "99:98") == (99, 98, (), "/")
    for text in ("nope", "ana:nope", str(2**32)):
        with pytest.raises(InvalidInput):
            resolve_user(root, text)


def test_user_files_are_read_inside_the_root_only(tmp_path):
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "passwd").write_text("evil:x:0:0::/:/bin/sh\n")
    (tmp_path / "root/etc/passwd").symlink_to("../../passwd")
    with pytest.raises(InvalidInput, match="unable to find user evil"):
        resolve_user(str(tmp_path / "root"), "evil")


@given(st.lists(st.binary(max_size=4), max_size=6))
def test_detach_keys_are_found_across_pieces_and_nothing_else_is_lost(pieces):
    watch = _KeyWatch(b"\x10\x11")
    data, passed, detached = b"".join(pieces), b"", False
    for piece in pieces:
        some, detached = watch.filter(piece)
        passed += some
        if detached:
            break
    position = data.find(b"\x10\x11")
    assert detached == (position >= 0)
    assert passed in (data[:position], data, data[:-1]) if detached else data.startswith(passed)


def log(tmp_path, *lines):
    path = tmp_path / "log"
    path.write_text(
        "".join(
            f"2026-01-01T00:00:0{second}.000000000+00:00 {stream} {tag} {text}\n" for second, stream, tag, text in lines
        )
    )
    return str(path)


def test_logs_are_read_whole_by_tail_and_by_time(tmp_path):
    path = log(
        tmp_path, (1, "stdout", "F", "a"), (2, "stderr", "P", "b"), (2, "stderr", "F", "c"), (3, "stdout", "F", "d")
    )
    assert [record.data for record in read_log(path)] == [b"a\n", b"b", b"c\n", b"d\n"]
    assert [record.data for record in read_log(path, tail=2)] == [b"b", b"c\n", b"d\n"]
    assert [record.data for record in read_log(path, tail=0)] == []
    assert [record.stream for record in read_log(path, tail=99)] == [1, 2, 2, 1]
    second = 1767225600 * 10**9
    assert [record.data for record in read_log(path, since=second + 3 * 10**9)] == [b"d\n"]
    assert [record.data for record in read_log(path, until=second + 2 * 10**9)] == [b"a\n"]


def test_a_missing_log_is_empty(tmp_path):
    assert list(read_log(str(tmp_path / "none"))) == []


def test_a_working_directory_that_is_not_there_is_not_a_missing_command():
    from wherry.base.errors import CommandNotExecutable
    from wherry.runtime.failures import launch_failure

    said = 'exec failed: chdir to cwd ("/nope") set in config.json failed: no such file or directory'
    assert isinstance(launch_failure(said, "exec"), CommandNotExecutable)
