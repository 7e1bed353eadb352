"""Scaling as `wherry serve` does it: load on real instances, more of them, less load, fewer of them."""

import contextlib

import pytest

from backends import Load
from deploying import service
from installation import eventually
from wherry.deploy.records import open_records

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(900)]

PACE = ("max=3", "scale.period=20", "scale.breach=20", "scale.cooldown=5", "health.interval=1", "health.healthy=1")
HOLD = 60
# By environment, which are named as what they are scaled by: thresholds, seconds of CPU that an answer takes, requests
# per second under load and afterwards, beside two slow ones all the time, which take so many MiB.
RULES = {
    "requests": (12, 10, 0.0, 60, 1),
    "cpu": (10, 8, 0.03, 20, 0),
    "memory": (30, 25, 0.0, 8, 0),
    "latency": (600, 500, 0.0, 8, 0),
}
UNITS = {"requests": "requests per second", "cpu": "percent of one core", "memory": "MiB", "latency": "ms"}


@pytest.fixture
def serving(commands):
    """One environment for each measure, and `wherry serve` looks after them: what serves while nothing is under way."""
    for name, (upper, lower, burn, *_) in RULES.items():
        commands.write(f"by-{name}", {"web": service(name, burn, HOLD if name == "memory" else 0)})
        settings = (*PACE, f"scale.measure={name}", f"scale.upper={upper}", f"scale.lower={lower}")
        commands("env", "create", name, *(word for one in settings for word in ("--set", one)))
    records = open_records(commands.layout)

    def look(name):
        is_done = records.journal.pending(name) is None
        return is_done and [one.name for one in records.instances(name) if one.serves]

    with commands.serve("--period", "1"):
        yield look


@contextlib.contextmanager
def load(commands, rates):
    """Requests by environment for the time of a `with`; none of them may fail."""
    with contextlib.ExitStack() as stack:
        loads = {
            name: stack.enter_context(Load(commands.port, f"{name}.localhost", rate=rate))
            for name, rate in rates.items()
            if rate
        }
        yield
    assert {name: one.failures for name, one in loads.items()} == {name: [] for name in loads}


def test_load_brings_instances_and_its_end_takes_them_away(commands, serving):
    with load(commands, {name: rate for name, (*_, rate, _) in RULES.items()}):
        for name in RULES:
            eventually(lambda name=name: serving(name) == ["i-1", "i-2", "i-3"], 120)
    with load(commands, {name: rate for name, (*_, rate) in RULES.items()}):
        for name in RULES:
            eventually(lambda name=name: len(serving(name) or ()) == 1, 120)
    for name in RULES:
        _says_why(commands, name)


def _says_why(commands, name):
    upper, lower, *_ = RULES[name]
    told = [row["Message"] for row in commands.rows("env", "events", name)]
    words = [one for one in told if one.startswith(("Scaling ", "Change of size "))]
    for (before, after), why, began, ended in zip(
        ((1, 2), (2, 3), (3, 2), (2, 1)), words[::3], words[1::3], words[2::3], strict=True
    ):
        side = f"above {upper}" if after > before else f"below {lower}"
        assert why.startswith(f"Scaling from {before} to {after}: {name} was {side} {UNITS[name]} for 20 seconds (")
        assert began.startswith(f"Change of size from {before} to {after} instance")
        assert began.endswith("begun by wherry serve.")
        assert ended.startswith("Change of size succeeded in ")
