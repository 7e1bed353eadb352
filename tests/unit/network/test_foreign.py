import os

import pytest

from wherry.base.errors import ProgramFailed
from wherry.network.bridge import Bridge
from wherry.network.firewall import _pass_firewalls
from wherry.network.foreign import changes, rules_of

OURS = Bridge("wherry0", "10.64.0.0/20", "10.64.0.1")
OPEN = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"
DOCKER = (
    "-P INPUT ACCEPT\n-P FORWARD DROP\n-N DOCKER-ISOLATION-STAGE-2\n-N DOCKER-USER\n"
    "-A FORWARD -j DOCKER-USER\n-A DOCKER-USER -i eth0 ! -s 192.0.2.0/24 -j DROP\n-A DOCKER-USER -j RETURN\n"
)


def applied(listing, change):
    lines = listing.splitlines()
    verb, chain, rest = change.split(" ", 2)
    if verb == "-D":
        lines.remove(f"-A {chain} {rest}")
        return "\n".join(lines) + "\n"
    position, rule = rest.split(" ", 1)
    places = [number for number, line in enumerate(lines) if line.startswith(f"-A {chain} ")]
    at = places[int(position) - 1] if int(position) <= len(places) else (places[-1] + 1 if places else len(lines))
    lines.insert(at, f"-A {chain} {rule}")
    return "\n".join(lines) + "\n"


def settled(listing, bridges):
    for change in changes(listing, bridges):
        listing = applied(listing, change)
    assert changes(listing, bridges) == []
    return listing


def test_an_open_firewall_is_left_alone():
    assert changes(OPEN, [OURS]) == []
    assert changes("", [OURS]) == []


def test_a_closed_one_lets_our_bridge_through_first():
    listing = settled(OPEN.replace("FORWARD ACCEPT", "FORWARD DROP") + "-A FORWARD -j REJECT\n", [OURS])
    assert listing.splitlines()[-3:] == [
        "-A FORWARD -i wherry0 -j ACCEPT",
        "-A FORWARD -o wherry0 -j ACCEPT",
        "-A FORWARD -j REJECT",
    ]


def test_beside_docker_its_isolation_comes_first_and_the_administrators_rules_before_ours():
    listing = settled(DOCKER, [OURS])
    assert [line for line in listing.splitlines() if line.startswith("-A DOCKER-USER")] == [
        "-A DOCKER-USER -i eth0 ! -s 192.0.2.0/24 -j DROP",
        "-A DOCKER-USER -i wherry0 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DOCKER-ISOLATION-STAGE-2",
        "-A DOCKER-USER -i wherry0 -j ACCEPT",
        "-A DOCKER-USER -o wherry0 -j ACCEPT",
        "-A DOCKER-USER -j RETURN",
    ]


def test_rules_that_come_too_late_are_moved():
    listing = (
        "-P FORWARD ACCEPT\n-A FORWARD -j REJECT\n-A FORWARD -i wherry0 -j ACCEPT\n-A FORWARD -o wherry0 -j ACCEPT\n"
    )
    assert settled(listing, [OURS]).splitlines()[-1] == "-A FORWARD -j REJECT"


def test_questions_for_names_are_let_in_where_the_input_is_closed():
    closed = "-P INPUT DROP\n-P FORWARD ACCEPT\n"
    assert changes(closed, [OURS]) == []
    assert sorted(changes(closed, [OURS._replace(names=True)])) == [
        "-I INPUT 1 -i wherry0 -p tcp -m tcp --dport 53 -j ACCEPT",
        "-I INPUT 1 -i wherry0 -p udp -m udp --dport 53 -j ACCEPT",
    ]


def test_all_that_was_added_is_found_again():
    listing = settled(DOCKER.replace("INPUT ACCEPT", "INPUT DROP"), [OURS._replace(names=True)])
    assert len(rules_of(listing, "wherry0")) == 5
    assert rules_of(listing, "wherry1") == []


IPTABLES = """#!/bin/sh
shift
echo "$*" >>"$0.log"
if [ "$1" != -S ]; then
  [ -e "$0.moved" ] && exit 0
  touch "$0.moved"
  echo "Index of insertion too big." >&2
  exit 1
fi
echo "-N DOCKER-USER"
[ -e "$0.moved" ] || echo "-A DOCKER-USER -s 10.0.0.1/32 -j ACCEPT"
echo "-A DOCKER-USER -j RETURN"
"""


def test_rules_that_others_change_meanwhile_are_looked_at_anew(tmp_path, monkeypatch):
    program = tmp_path / "iptables"
    program.write_text(IPTABLES)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert _pass_firewalls([OURS])
    inserted = [line for line in (tmp_path / "iptables.log").read_text().splitlines() if line.startswith("-I")]
    assert [line.split()[2] for line in inserted] == ["2", "1", "1"]


def test_rules_that_cannot_be_put_in_are_an_error(tmp_path, monkeypatch):
    program = tmp_path / "iptables"
    program.write_text("#!/bin/sh\n[ $2 = -S ] && echo -N DOCKER-USER || exit 4\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ProgramFailed):
        _pass_firewalls([OURS])
