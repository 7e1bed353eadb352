"""What `system df` and `system prune` say of space is what the disk says, and what is in use is kept."""

import json
import subprocess
import threading

import pytest

from installation import Installation


@pytest.fixture
def own(tmp_path, rootfs):
    """An installation of its own: these tests prune everything."""
    installation = Installation(tmp_path)
    installation("build", "-q", "-t", "tiny", str(rootfs))
    yield installation
    installation.destroy()


pytestmark = pytest.mark.root


def on_disk(installation):
    paths = [f"{installation.root}/{name}" for name in ("content/blobs", "snapshots")]
    said = subprocess.run(["du", "-sB1", "-c", *paths], capture_output=True, check=True, text=True).stdout
    return int(said.split()[-2])


def bytes_of(text):
    units = {"GB": 1e9, "MB": 1e6, "kB": 1e3, "B": 1}
    unit = next(unit for unit in units if text.endswith(unit))
    return float(text.removesuffix(unit)) * units[unit]


def usage(installation):
    rows = map(json.loads, installation("system", "df", "--format", "json").out.splitlines())
    return {row["Type"]: row for row in rows}


def build(installation, directory, tag, *lines):
    directory.mkdir()
    (directory / "Dockerfile").write_text("\n".join(("FROM tiny", *lines)))
    return installation("build", "-q", "-t", tag, str(directory)).out.strip()


def test_df_and_prune_say_what_the_disk_says(own, tmp_path):
    for name in ("one", "two"):
        build(own, tmp_path / name, name, f"RUN head -c 9000000 /dev/urandom >/{name}")
    images = usage(own)["Images"]
    assert bytes_of(images["Size"]) == pytest.approx(on_disk(own), rel=0.1)  # the shared layer counts once
    assert images["TotalCount"] == "3"
    build(own, tmp_path / "again", "two", "RUN head -c 5000000 /dev/urandom >/two")
    before = on_disk(own)
    reclaimed = bytes_of(own("system", "prune", "-f").out.split()[-1])
    assert 17e6 < reclaimed < 20e6  # what was called two before: the blob and the snapshot of nine megabytes
    assert reclaimed == pytest.approx(before - on_disk(own), rel=0.1)
    assert bytes_of(usage(own)["Images"]["Size"]) == pytest.approx(on_disk(own), rel=0.1)
    assert own("run", "--rm", "one", "stat", "-c", "%s", "/one").out == "9000000\n"


def test_pruning_beside_builds_and_runs_takes_nothing_from_them(own, tmp_path):
    over = threading.Event()
    failures = []

    def prune():
        while not over.is_set():
            done = own("system", "prune", "-af", check=False)
            if done.returncode:
                failures.append(done.err)

    own("run", "-d", "--name", "keeps", "tiny", "sleep", "1000")
    pruner = threading.Thread(target=prune)
    pruner.start()
    try:
        for number in range(8):
            tag = f"t{number}"
            build(
                own,
                tmp_path / tag,
                tag,
                f"RUN echo {number} >/number",
                "COPY Dockerfile /",
                "RUN cat /number /Dockerfile",
            )
            ran = own("run", "--rm", tag, "cat", "/number", check=False)
            # Between build and run the image has no container, so that pruning may take it: whole, never in part.
            assert ran.out == f"{number}\n" or ran.returncode == 125, ran.err
    finally:
        over.set()
        pruner.join()
    assert failures == []
    assert own("exec", "keeps", "cat", "/etc/passwd").out
    own("rm", "-f", "keeps")
