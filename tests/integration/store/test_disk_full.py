"""A disk that fills up in the middle: a clear error, nothing half-made in sight, and the next command works."""

import subprocess

import pytest

from installation import Installation


@pytest.fixture
def small(tmp_path, rootfs):
    """An installation whose root has 60 MB."""
    installation = Installation(tmp_path)
    (tmp_path / "root").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "small", str(tmp_path / "root")], check=True)
    try:
        installation("build", "-q", "-t", "tiny", str(rootfs))
        yield installation
        installation.destroy()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path / "root")], check=True)


def context(tmp_path, instruction):
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "Dockerfile").write_text(f"FROM tiny\n{instruction}\n")
    with open(directory / "large", "wb") as file:
        file.truncate(200 << 20)
    return str(directory)


@pytest.mark.root
@pytest.mark.parametrize(
    "instruction",
    [
        "COPY large /",
        "RUN head -c 200000000 /dev/zero >/large",
        "RUN i=0; while head -c 900000 /dev/zero >/f$i; do i=$((i+1)); done",
    ],
)
def test_a_build_that_fills_the_disk_says_so_and_leaves_nothing(small, tmp_path, instruction):
    before = small("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}").out
    failed = small("build", "-t", "big", context(tmp_path, instruction), check=False)
    assert failed.returncode
    assert "No space left on device" in failed.out + failed.err
    assert "Traceback" not in failed.err
    assert small("run", "--rm", "tiny", "echo", "works").out == "works\n"
    assert small("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}").out == before
    assert small("images", "-q").out.split() == small("images", "-q", "tiny").out.split()
    assert small.leftovers() == []
