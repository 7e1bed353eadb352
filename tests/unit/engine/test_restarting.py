"""Restart policies and their back-off, as Docker has them."""

import pytest

from wherry.engine.records import Container, ContainerState, NetworkState
from wherry.engine.request import ContainerRequest, RestartPolicy
from wherry.engine.restarting import next_delay, restart_due, wants_restart

MILLISECOND = 1_000_000


def container(policy, **state):
    request = ContainerRequest("i", restart=RestartPolicy(*policy))
    return Container("1", "n", "i", "", "", request, 0, ContainerState("running", **state), NetworkState())


@pytest.mark.parametrize(
    ("policy", "state", "code", "again"),
    [
        (("no",), {}, 1, False),
        (("always",), {}, 0, True),
        (("always",), {}, 1, True),
        (("always",), {"stop_wanted": True}, 1, False),
        (("unless-stopped",), {}, 0, True),
        (("unless-stopped",), {"stop_wanted": True}, 0, False),
        (("on-failure",), {}, 0, False),
        (("on-failure",), {"restart_count": 1000}, 1, True),
        (("on-failure", 2), {"restart_count": 1}, 1, True),
        (("on-failure", 2), {"restart_count": 2}, 1, False),
    ],
)
def test_policies(policy, state, code, again):
    assert wants_restart(container(policy, **state), code) is again


def test_the_back_off_doubles_up_to_a_minute_and_begins_again_after_a_long_run():
    delays, delay = [], 0
    for _ in range(12):
        delay = next_delay(delay, 0)
        delays.append(delay // MILLISECOND)
    assert delays == [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]
    assert next_delay(delay, 10_000 * MILLISECOND) == 100 * MILLISECOND
    assert next_delay(delay, 9_999 * MILLISECOND) == 60_000 * MILLISECOND


def test_the_back_off_is_counted_from_the_end():
    assert restart_due(ContainerState("restarting", finished=5, restart_delay=7)) == 12
