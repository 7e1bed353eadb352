"""Both versions, on directories that look like theirs."""

import pytest

from wherry.kernel import cgroups


def group(directory, processes=(), **files):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in processes))
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text)


@pytest.fixture
def second(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    group(tmp_path / "wherry-t" / "c1", [12, 7], memory__events="low 0\noom 3\noom_kill 2\n")
    group(tmp_path / "wherry-t" / "c1" / "inner", [9])
    group(tmp_path / "wherry-t" / "c2", memory__events="oom_kill 0\n")
    return str(tmp_path)


@pytest.fixture(params=["v1", "hybrid"])
def first(request, tmp_path):
    for controller in ("memory", "pids"):
        group(tmp_path / controller / "wherry-t" / "c1", [12, 7])
    group(tmp_path / "memory" / "wherry-t" / "c1", [12, 7], memory__oom_control="under_oom 0\noom_kill 1\n")
    if request.param == "hybrid":
        group(tmp_path / "unified")
    (tmp_path / "cpuacct").symlink_to("memory")
    return str(tmp_path), request.param


def test_the_second_version(second):
    assert cgroups.version(second) == "v2"
    assert cgroups.process_ids("/wherry-t/c1", second) == [7, 9, 12]
    assert cgroups.is_oom_killed("/wherry-t/c1", second) is True
    assert cgroups.is_oom_killed("/wherry-t/c2", second) is False
    assert cgroups.process_ids("/wherry-t/gone", second) == []
    assert cgroups.is_oom_killed("/wherry-t/gone", second) is False


def test_the_first_version(first):
    root, version = first
    assert cgroups.version(root) == version
    assert cgroups.process_ids("/wherry-t/c1", root) == [7, 12]
    assert cgroups.is_oom_killed("/wherry-t/c1", root) is True


def test_removing_goes_from_the_inside_out_and_leaves_what_is_in_use(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("")
    (tmp_path / "wherry" / "c1" / "inner").mkdir(parents=True)
    (tmp_path / "wherry" / "c2" / "inner").mkdir(parents=True)
    (tmp_path / "wherry" / "c2" / "held").write_text("")  # the kernel refuses to remove a group with processes
    cgroups.remove("/wherry/c1", str(tmp_path))
    cgroups.remove("/wherry/c2", str(tmp_path))
    cgroups.remove("/wherry/none", str(tmp_path))
    assert not (tmp_path / "wherry" / "c1").exists()
    assert (tmp_path / "wherry" / "c2").exists()
    assert not (tmp_path / "wherry" / "c2" / "inner").exists()


def test_paths_carry_the_installations_tag():
    assert cgroups.cgroup_path("", "c1") == "/wherry/c1"
    assert cgroups.cgroup_path("abc123", "c1") == "/wherry-abc123/c1"
