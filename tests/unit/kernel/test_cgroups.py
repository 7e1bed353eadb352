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


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_usage_is_read_from_both_versions_and_is_nothing_where_the_group_is_gone(tmp_path):
    two = tmp_path / "two"
    write(two, "cgroup.controllers", "cpu memory")
    write(two, "x/cpu.stat", "usage_usec 2500000\nuser_usec 1\n")
    write(two, "x/memory.current", "1000\n")
    write(two, "x/memory.stat", "anon 1\ninactive_file 300\n")
    assert cgroups.usage("/x", str(two)) == (2.5, 700)
    one = tmp_path / "one"
    write(one, "cpuacct/x/cpuacct.usage", "2500000000\n")
    write(one, "memory/x/memory.usage_in_bytes", "1000\n")
    write(one, "memory/x/memory.stat", "inactive_file 1\ntotal_inactive_file 300\n")
    assert cgroups.usage("/x", str(one)) == (2.5, 700)
    assert cgroups.usage("/gone", str(one)) == cgroups.usage("/gone", str(two)) == (0.0, 0)
