"""The PORTS column and `--expose`."""

import pytest

from wherry.base.errors import InvalidInput
from wherry.cli.ports import parse_expose, show_ports


@pytest.mark.parametrize(
    ("published", "exposed", "shown"),
    [
        ((), (), ""),
        ((), ("7000/tcp", "7001/tcp", "7002/tcp"), "7000-7002/tcp"),
        (((80, "tcp", "127.0.0.1", 8080),), ("80/tcp", "99/tcp"), "99/tcp, 127.0.0.1:8080->80/tcp"),
        (((80, "tcp", "", 80), (81, "tcp", "", 81)), (), "0.0.0.0:80-81->80-81/tcp"),
        (((53, "udp", "", 18), (53, "tcp", "", 18)), (), "0.0.0.0:18->53/tcp, 0.0.0.0:18->53/udp"),
    ],
)
def test_ports_are_shown_as_docker_shows_them(published, exposed, shown):
    assert show_ports(published, exposed) == shown


def test_exposed_ranges_become_ports():
    assert parse_expose(["80", "53/udp", "7-8"]) == ("80/tcp", "53/udp", "7/tcp", "8/tcp")
    with pytest.raises(InvalidInput, match="invalid range format for --expose: x"):
        parse_expose(["x"])
