"""A disk that is full in the middle of it: what served goes on to serve, and with room again everything goes on."""

import os
import subprocess

import pytest

from backends import Load, free_port
from deploying import QUICK, Commands, service
from installation import Installation, eventually
from wherry.base.paths import Layout
from wherry.deploy.balancer import Listener
from wherry.deploy.haproxy import HAProxy
from wherry.deploy.records import open_records

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

DISK = "600m"


class Disk:
    """A small disk of its own."""

    def __init__(self, path):
        self.path = path

    def fill(self):
        """Not a byte is left."""
        with open(f"{self.path}/filler", "wb", buffering=0) as file:
            block = b"x" * (1 << 20)
            while block:
                try:
                    file.write(block)
                except OSError:
                    block = block[: len(block) // 2]

    def free(self):
        os.remove(f"{self.path}/filler")


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "disk", tmp_path / "disk"], check=True)
    yield Disk(str(tmp_path / "disk"))
    subprocess.run(["umount", "-l", tmp_path / "disk"], check=True)


@pytest.fixture
def commands(wherry, disk, tmp_path):
    """An installation on that disk, with the images of the tests' own."""
    wherry("base", "build", "--if-missing", "haproxy", timeout=800)
    names = [line for line in wherry("images", "--format", "{{.Repository}}:{{.Tag}}").out.split() if "haproxy" in line]
    wherry("save", "-o", str(tmp_path / "images.tar"), "tiny", *names)
    small = Installation(disk.path)
    small.environment["WHERRY_RUN"] = small.run = str(tmp_path / "run")
    small("load", "-i", str(tmp_path / "images.tar"))
    (tmp_path / "project").mkdir()
    made = Commands(small, tmp_path / "project", free_port())
    yield made
    made.remove()
    HAProxy(Layout(small.root, small.run), Listener("127.0.0.1", made.port, 0)).stop()
    small.destroy()
    eventually(lambda: not small.leftovers())


@pytest.fixture
def shop(commands):
    """Two instances that tell `one`, and a project that would tell `two`."""
    commands.write("shop", {"web": service("one")})
    commands("env", "create", "shop", *QUICK, "--min", "2")
    commands.write("shop", {"web": service("two")})
    return commands


def test_on_a_full_disk_nothing_is_changed_and_all_is_told(shop, disk):
    with Load(shop.port, "shop.localhost") as load:
        disk.fill()
        for words in (("deploy",), ("env", "set", "shop", "drain=1"), ("env", "restart", "shop")):
            said = shop(*words, code=1)
            assert "disk is full" in said
            assert "make room" in said
        assert [one["Name"] for one in shop.status("shop")["Instances"]] == ["i-1", "i-2"]
        assert shop.rows("env", "health", "shop")[0]["Color"] == "green"
        disk.free()
        shop("deploy")
    assert load.failures == []
    assert shop.get("shop") == (200, "two")


@pytest.mark.parametrize("steps", range(1, 14, 2))
def test_a_disk_that_is_full_in_the_middle_of_a_deployment(shop, disk, steps):
    journal = open_records(shop.layout).journal

    def done():
        pending = journal.pending("shop")
        return pending is None or sum(one.state == "done" for one in journal.steps(pending)) >= steps

    with Load(shop.port, "shop.localhost") as load:
        with shop.start("deploy", stderr=subprocess.PIPE, text=True) as process:
            eventually(lambda: journal.pending("shop") is not None, 30)
            eventually(done, 30)
            disk.fill()
            _, said = process.communicate(timeout=120)
        assert process.returncode == 0 or "disk is full" in said
        disk.free()
        shop("env", "recover", "shop")
        assert shop.get("shop")[1] in ("one", "two")
        assert journal.pending("shop") is None
        shop("deploy")
    assert load.failures == []
    assert {shop.get("shop") for _ in range(8)} == {(200, "two")}
    assert len(shop.status("shop")["Instances"]) == 2


def test_who_looks_after_it_goes_on_when_there_is_room_again(shop, disk):
    with shop.serve("--period", "0.2") as serving:
        with Load(shop.port, "shop.localhost") as load:
            disk.fill()
            eventually(lambda: "full" in serving.errors(), 30)
            assert serving.process.poll() is None
            disk.free()
            failed = serving.errors().count("full")
        assert load.failures == []
        told = len(shop.rows("env", "events", "shop"))
        shop("kill", *shop("ps", "-q", "--filter", "label=io.wherry.instance=i-1").split())
        eventually(lambda: len(shop.rows("env", "events", "shop")) > told, 60)
        assert serving.errors().count("full") <= failed + 1  # a turn that was under way
