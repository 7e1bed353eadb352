import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import InvalidInput
from wherry.cli import mountflags, parsing, ports
from wherry.engine.request import MountRequest, PortRequest, RestartPolicy, UlimitRequest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80", [PortRequest(80)]),
        ("8080:80", [PortRequest(80, "tcp", "", 8080)]),
        ("127.0.0.1:8080:80/udp", [PortRequest(80, "udp", "127.0.0.1", 8080)]),
        ("127.0.0.1::80", [PortRequest(80, "tcp", "127.0.0.1")]),
        ("0:80", [PortRequest(80)]),
        ("8000-8003:80", [PortRequest(80, "tcp", "", 8000, 8003)]),
        ("::1:8080:80", [PortRequest(80, "tcp", "::1", 8080)]),
        ("[::1]:8080:80", [PortRequest(80, "tcp", "::1", 8080)]),
        ("8000-8001:80-81", [PortRequest(80, "tcp", "", 8000), PortRequest(81, "tcp", "", 8001)]),
    ],
)
def test_ports(text, expected):
    assert ports.parse_ports(text) == expected


@pytest.mark.parametrize("text", ["", "x:80", "80:x", "8000-8002:80-81", "70000:80", "1.2:80:80", "80/icmp", ":"])
def test_ports_that_are_none(text):
    with pytest.raises(InvalidInput):
        ports.parse_ports(text)


@pytest.mark.parametrize(
    ("text", "size"), [("512m", 512 << 20), ("1g", 1 << 30), ("1.5k", 1536), ("10", 10), ("2MB", 2 << 20)]
)
def test_sizes(text, size):
    assert parsing.parse_size(text) == size


def test_volumes():
    assert mountflags.parse_volume("/data") == MountRequest("volume", "/data")
    assert mountflags.parse_volume("name:/data:ro") == MountRequest("volume", "/data", "name", read_only=True)
    bind = mountflags.parse_volume("/src:/data:ro,z")
    assert (bind.kind, bind.source, bind.read_only, bind.create_source) == ("bind", "/src", True, True)
    for text in ("", ":/x", "name:", "name:relative", "/a:/b:nope", "/a:/b:ro,rw", "/a:/b:z,Z", "a:b:c:d"):
        with pytest.raises(InvalidInput):
            mountflags.parse_volume(text)


def test_mounts():
    mount = mountflags.parse_mount("type=bind,src=/a,dst=/b,readonly")
    assert (mount.kind, mount.source, mount.target, mount.read_only, mount.create_source) == (
        "bind",
        "/a",
        "/b",
        True,
        False,
    )
    assert mountflags.parse_mount("type=tmpfs,target=/t,tmpfs-size=1m").size == 1 << 20
    assert mountflags.parse_mount("type=tmpfs,target=/t,tmpfs-mode=0700").options == ("mode=700",)
    assert mountflags.parse_mount("type=bind,src=/a,dst=/b,ro=false").read_only is False
    assert mountflags.parse_mount('type=bind,"src=/a,b",dst=/c').source == "/a,b"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type=nope,target=/x", 'mount type unknown: "nope"'),
        ("type=bind,source=/a", "target is required"),
        ("type=bind,source=a,target=/b", "mount path must be absolute"),
        ("target=/x,what=1", "unexpected key 'what' in 'what=1'"),
        ("target=/x,what", "invalid field 'what' must be a key=value pair"),
        ("target=/x,readonly=maybe", "invalid value for readonly: maybe"),
        ("type=tmpfs,target=/x,tmpfs-mode=rwx", "invalid value for tmpfs-mode: rwx"),
        ("type=tmpfs,target=/x,tmpfs-size=big", "invalid value for tmpfs-size: big"),
        ("type=tmpfs,target=/x,source=y", "must not be specified"),
        ("type=bind,source=/a,target=/x,tmpfs-size=1", "cannot mix 'tmpfs-\\*' options with mount type 'bind'"),
        ("type=bind,source=/a,target=/x,bind-propagation=up", 'invalid propagation mode "up"'),
        ("type=bind,source=/a\nb,target=/x", "unexpected key|new-line"),
    ],
)
def test_mounts_that_are_none(text, words):
    with pytest.raises(InvalidInput, match=words):
        mountflags.parse_mount(text)


def test_policies_limits_and_durations():
    assert parsing.parse_restart("on-failure:3") == RestartPolicy("on-failure", 3)
    assert parsing.parse_ulimit("nofile=10:20") == UlimitRequest("nofile", 10, 20)
    assert parsing.parse_ulimit("nofile=10:-1") == UlimitRequest("nofile", 10, -1)
    assert parsing.parse_duration("1m30s") == 90_000_000_000
    for parse, text in (
        (parsing.parse_restart, "sometimes"),
        (parsing.parse_restart, "always:3"),
        (parsing.parse_ulimit, "nofile"),
        (parsing.parse_ulimit, "nofile=5:4"),
        (parsing.parse_ulimit, "nofile=-1:4"),
        (parsing.parse_device, "/dev/zero:rwx"),
        (parsing.parse_duration, "soon"),
        (parsing.parse_cpus, "many"),
    ):
        with pytest.raises(InvalidInput):
            parse(text)


def test_environment_files(tmp_path, monkeypatch):
    monkeypatch.setenv("FROM_HERE", "here")
    monkeypatch.delenv("NOT_HERE", raising=False)
    path = tmp_path / "env"
    path.write_text("# comment\nA=1\n\nB=two words\nFROM_HERE\nNOT_HERE\n")
    assert parsing.parse_environment(["A=2", "C="], [str(path)]) == (
        "A=1",
        "B=two words",
        "FROM_HERE=here",
        "A=2",
        "C=",
    )
    assert parsing.parse_environment(["NOT_HERE"], []) == ("NOT_HERE",)
    path.write_text("=1\n")
    with pytest.raises(InvalidInput, match="no variable name on line '=1'"):
        parsing.parse_environment([], [str(path)])
    path.write_text("BAD NAME=1\n")
    with pytest.raises(InvalidInput, match="contains whitespaces"):
        parsing.parse_environment([], [str(path)])


@given(st.text(max_size=12))
def test_any_text_is_parsed_or_refused(text):
    for parse in (
        ports.parse_ports,
        mountflags.parse_volume,
        mountflags.parse_mount,
        parsing.parse_size,
        parsing.parse_device,
    ):
        try:
            parse(text)
        except InvalidInput:
            pass
