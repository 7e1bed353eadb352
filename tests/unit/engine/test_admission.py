"""What a request may not ask, and signals by name."""

import pytest

from wherry.base.errors import InvalidInput
from wherry.engine.admission import check_request
from wherry.engine.request import ContainerRequest, LimitsRequest
from wherry.engine.signals import signal_number


@pytest.mark.parametrize(
    ("text", "number"),
    [("TERM", 15), ("sigterm", 15), ("9", 9), ("RTMIN", 34), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("RTMAX", 64)],
)
def test_signals(text, number):
    assert signal_number(text) == number


@pytest.mark.parametrize("text", ["", "FOO", "0", "65", "RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMIN+x", "RTMINX1", "-9"])
def test_what_is_no_signal(text):
    with pytest.raises(InvalidInput, match="Invalid signal"):
        signal_number(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"stop_signal": "FOO"},
        {"pid_mode": "bogus"},
        {"pid_mode": "container:"},
        {"ipc_mode": "bogus"},
        {"uts_mode": "container:a"},
        {"cgroup_mode": "bogus"},
        {"working_dir": "relative"},
        {"limits": LimitsRequest(nano_cpus=-1_000_000_000)},
        {"limits": LimitsRequest(nano_cpus=10**15)},
        {"limits": LimitsRequest(memory=1024)},
        {"limits": LimitsRequest(oom_score_adj=5000)},
        {"limits": LimitsRequest(memory=64 << 20, memory_swap=32 << 20)},
        {"limits": LimitsRequest(memory_swap=64 << 20)},
        {"limits": LimitsRequest(memory=64 << 20, memory_reservation=128 << 20)},
        {"limits": LimitsRequest(memory_reservation=1024)},
        {"limits": LimitsRequest(nano_cpus=10**9, cpu_quota=5000)},
        {"limits": LimitsRequest(nano_cpus=10**9, cpu_period=5000)},
        {"limits": LimitsRequest(cpu_quota=10)},
        {"limits": LimitsRequest(cpu_period=10)},
        {"limits": LimitsRequest(cpuset_cpus="4096")},
        {"limits": LimitsRequest(cpuset_cpus="x")},
        {"limits": LimitsRequest(cpuset_mems="0-")},
        {"uts_mode": "host", "hostname": "h"},
        {"network": "container:a", "hostname": "h"},
        {"network": "container:a", "dns": ("1.2.3.4",)},
        {"network": "container:a", "add_hosts": ("a:1.2.3.4",)},
        {"network": "container:a", "mac_address": "02:42:00:00:00:01"},
        {"network": "container:a", "publish_all": True},
        {"network": "container:a", "expose": ("80/tcp",)},
    ],
)
def test_what_no_container_can_have(wrong):
    with pytest.raises(InvalidInput):
        check_request(ContainerRequest("tiny", **wrong))


def test_what_one_can():
    limits = LimitsRequest(
        memory=64 << 20, memory_swap=-1, memory_reservation=32 << 20, cpu_quota=5000, cpuset_cpus="0"
    )
    check_request(ContainerRequest("tiny", limits=limits, hostname="h", network="host"))
    check_request(ContainerRequest("tiny", pid_mode="container:a", ipc_mode="shareable", stop_signal="RTMIN+3"))
