"""Facts to health: what is wrong, how bad that is for an instance and for its environment, and in which words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.deploy.ailments import InstanceFacts, ago
from wherry.deploy.health import Facts, Machine, judge
from wherry.deploy.journal import Operation, StepRecord
from wherry.deploy.model import Deployment, Environment
from wherry.deploy.routing import ServerState
from wherry.deploy.steps import Check, Enter, Leave, RunRelease, Start, Stop
from wherry.deploy.target import ObservedService
from wherry.deploy.traffic import RequestStats
from wherry.deploy.wish import Wish

NOW = 1_000_000.0
GOOD = ObservedService("web", "c1", "running", "", 0, 0, NOW - 3600, "10.0.0.2")


def state(status="up", reason="/ answered 200", pool="web", changed=60.0):
    return ServerState(pool, "i-1", status, reason, 0, 0, (0, 0, 0, 0, 0), 0, 0.0, 0.0, 100, changed)


def instance(number=1, **values):
    given = {"services": (GOOD,), "servers": (state(),), **values}
    return InstanceFacts(f"i-{number}", given.pop("version", "v1"), given.pop("revision", 1), **given)


def environment(size=1, **values):
    found = {"status": "Ready", "settings": {}, "revision": 1, "version": "v1", **values}
    return Environment("shop", "shop", "shop.localhost", 1, size=size, **found)


def facts(*instances, **values):
    found = instances or (instance(),)
    return Facts(values.pop("environment", environment(len(found))), NOW, found, **values)


def alone(**values):
    """The health of an instance, the only one."""
    (found,) = judge(facts(instance(**values))).instances
    return found.status, found.causes


def five(*others, **values):
    """The health of an environment of five instances, of which these are the last ones."""
    count = 5 - len(others)
    return judge(facts(*(instance(number) for number in range(1, count + 1)), *others, **values))


def test_all_is_well():
    found = judge(facts(stats=RequestStats(100, (0, 95, 0, 5, 0), p99=20.0)))
    assert found[:3] == ("green", "Ok", ())
    assert [(one.name, one.color, one.status, one.causes) for one in found.instances] == [("i-1", "green", "Ok", ())]
    assert found.instances[0].started == NOW - 3600


@pytest.mark.parametrize(
    ("changes", "status", "cause"),
    [
        ({"status": "exited", "exit_code": 1}, "Severe", "web exited with code 1."),
        (
            {"status": "exited", "exit_code": 137, "oom_killed": True},
            "Severe",
            "web exited with code 137, killed for want of memory.",
        ),
        ({"status": "exited", "exit_code": 0}, "Ok", ""),
        ({"status": "dead", "exit_code": 2}, "Severe", "web exited with code 2."),
        (
            {"status": "restarting", "exit_code": 3, "restarts": 1},
            "Severe",
            "web exited with code 3 and is restarted (twice).",
        ),
        ({"restarts": 1, "started": NOW - 20}, "Warning", "web was restarted once, last 20 seconds ago."),
        ({"restarts": 4, "started": NOW - 90}, "Degraded", "web was restarted 4 times, last 1 minute ago."),
        ({"restarts": 4, "started": NOW - 301}, "Ok", ""),
        ({"health": "unhealthy"}, "Degraded", "web calls itself unhealthy: its own health check fails."),
        ({"health": "starting"}, "Pending", "web is starting: its own health check has not passed yet."),
        ({"status": "paused"}, "Warning", "web is paused."),
        ({"status": "created"}, "Pending", "web is not running yet (created)."),
    ],
)
def test_what_containers_say(changes, status, cause):
    assert alone(services=(GOOD._replace(**changes),)) == (status, (cause,) if cause else ())


def test_one_that_has_no_containers():
    assert alone(services=()) == ("Severe", ("None of its containers are there any more.",))


def test_what_the_balancer_says():
    failing = state("down", "/health answered 503, which is not among 200-399", changed=12.0)
    words = "web: /health answered 503, which is not among 200-399 (for 12 seconds)."
    assert alone(servers=(failing,)) == ("Severe", (words,))
    assert alone(servers=(failing, state(pool="api"))) == ("Degraded", (words,))
    of_two = failing._replace(address="10.0.0.3"), state()._replace(address="10.0.0.2")
    assert alone(servers=of_two) == ("Degraded", (words.replace("web:", "web at 10.0.0.3:"),))
    assert alone(servers=(state("down", "Connection refused", changed=0.0),)) == (
        "Severe",
        ("web: Connection refused.",),
    )
    assert alone(servers=(state("unchecked", ""),)) == ("Unknown", ("No health check has ended yet.",))
    assert alone(servers=()) == ("Severe", ("The load balancer does not have it.",))
    assert alone(serves=False, draining=True) == ("Info", ("It gets no new requests; those under way end.",))


def test_without_routes_the_balancer_is_not_heard():
    found = judge(facts(instance(servers=()), routed=False, balancer=False))
    assert found[:3] == ("green", "Ok", ())


@pytest.mark.parametrize(
    ("status", "health", "cause"),
    [
        ((0, 98, 0, 1, 1), "Ok", ""),
        ((0, 97, 0, 1, 2), "Warning", "2.0 % of the requests are failing with HTTP 5xx."),
        ((0, 90, 0, 0, 10), "Degraded", "10.0 % of the requests are failing with HTTP 5xx."),
        ((0, 75, 0, 0, 25), "Severe", "25.0 % of the requests are failing with HTTP 5xx."),
        ((0, 86, 0, 14, 0), "Ok", ""),
        ((0, 85, 0, 15, 0), "Warning", "15.0 % of the requests are erroring with HTTP 4xx."),
        ((0, 60, 0, 40, 0), "Degraded", "40.0 % of the requests are erroring with HTTP 4xx."),
        ((0, 15, 0, 85, 0), "Severe", "85.0 % of the requests are erroring with HTTP 4xx."),
    ],
)
def test_shares_of_errors(status, health, cause):
    stats = RequestStats(100, status)
    assert alone(stats=stats) == (health, (cause,) if cause else ())
    found = judge(facts(stats=stats))
    assert (found.status, found.causes) == (health, (cause,) if cause else ())


def test_a_few_requests_prove_nothing():
    found = judge(facts(stats=RequestStats(6, (0, 0, 0, 6, 0))))
    assert found[:3] == (
        "green",
        "Ok",
        (
            "100.0 % of the requests are erroring with HTTP 4xx.",
            "Insufficient request rate (6.0 requests/min) to determine application health.",
        ),
    )
    assert judge(facts(stats=RequestStats(6, (0, 6, 0, 0, 0), p90=90_000.0)))[:3] == ("green", "Ok", ())


@pytest.mark.parametrize(
    ("p90", "p99", "status"),
    [
        (4999.0, 9999.0, "Ok"),
        (5000.0, 5e3, "Warning"),
        (1e4, 1e4, "Degraded"),
        (3e4, 3e4, "Severe"),
        (1.0, 1e4, "Warning"),
    ],
)
def test_latency(p90, p99, status):
    assert alone(stats=RequestStats(100, (0, 100, 0, 0, 0), p90=p90, p99=p99))[0] == status


def test_latency_in_words():
    slow = RequestStats(100, (0, 100, 0, 0, 0), p90=6200.0, p99=9e3)
    assert alone(stats=slow)[1] == ("90 % of the requests were answered within 6.2 seconds, the rest took longer.",)


def test_resources():
    assert alone(cpu=191.0, cpu_limit=200.0) == ("Warning", ("96 % of CPU is in use.",))
    assert alone(cpu=189.0, cpu_limit=200.0)[0] == "Ok"
    assert alone(cpu=None, cpu_limit=200.0)[0] == "Ok"
    full = GOOD._replace(memory=98, memory_limit=100)
    assert alone(services=(full,)) == ("Warning", ("web: 98 % of memory is in use.",))
    assert alone(services=(full._replace(memory_limit=0),))[0] == "Ok"
    assert judge(facts(machine=Machine(1.0, 2, 97.4)))[:3] == (
        "yellow",
        "Warning",
        ("97 % of the machine's memory is in use.",),
    )
    assert judge(facts(machine=Machine(9.1, 2, 10.0)))[:3] == (
        "green",
        "Ok",
        ("The machine's load is 9.1 with 2 processors.",),
    )


class TestSeveralInstances:
    dead = instance(5, services=(GOOD._replace(status="exited", exit_code=1),))

    def test_one_of_five_is_a_warning(self):
        found = five(self.dead)
        assert found[:3] == (
            "yellow",
            "Warning",
            ("Impaired services on 1 out of 5 instances.", "i-5: web exited with code 1."),
        )
        assert [one.status for one in found.instances] == ["Ok"] * 4 + ["Severe"]

    def test_half_is_degraded_and_all_is_severe(self):
        dead = [self.dead._replace(name=f"i-{number}") for number in (1, 2, 3, 4, 5)]
        assert five(*dead[2:])[:2] == ("red", "Degraded")
        found = five(*dead)
        assert found[:2] == ("red", "Severe")
        assert found.causes[0] == "Impaired services on all instances."
        assert len(found.causes) == 4  # of three of them it is told why

    def test_the_balancers_own_check(self):
        bad = instance(5, servers=(state("down", "Connection refused", changed=0.0),))
        assert five(bad).causes == (
            "The load balancer's health check fails on 1 out of 5 instances.",
            "i-5: web: Connection refused.",
        )

    def test_the_wrong_version(self):
        wrong = [instance(number, version="v2", revision=2) for number in (4, 5)]
        found = five(*wrong)
        words = 'Incorrect application version found on 2 out of 5 instances. Expected version "v1" (deployment 1).'
        assert found[:3] == ("yellow", "Warning", (words,))
        assert found.instances[4].causes == (
            'Incorrect application version "v2" (deployment 2). Expected version "v1" (deployment 1).',
        )

    def test_fewer_than_wanted(self):
        found = judge(facts(*(instance(number) for number in range(4)), environment=environment(5)))
        assert found[:3] == ("red", "Degraded", ("4 active instances is below the wanted size 5.",))

    def test_none(self):
        found = judge(Facts(environment(2), NOW))
        assert found[:3] == (
            "red",
            "Severe",
            ("There are no instances that get requests. The wanted size is 2.",),
        )

    def test_warnings(self):
        paused = instance(5, services=(GOOD._replace(status="paused"),))
        assert five(paused)[:3] == ("green", "Info", ("Warnings on 1 out of 5 instances.", "i-5: web is paused."))


def test_nothing_answers_without_the_balancer():
    found = judge(facts(instance(servers=()), balancer=False))
    assert found[:3] == ("red", "Severe", ("The load balancer does not run: nothing answers.",))
    assert found.instances[0].status == "Ok"


def test_accessories_count_whole():
    broken = ObservedService("db", "c", "exited", "", 1, 0, NOW)
    found = judge(facts(accessories=(broken,)))
    assert found[:3] == ("red", "Severe", ("Accessory db exited with code 1.",))


def test_no_data():
    found = judge(facts(trouble="cannot use the database."))
    assert found[:3] == ("grey", "NoData", ("None of the instances are sending data: cannot use the database.",))
    assert found.instances[0][1:4] == ("grey", "NoData", ("No data.",))


def test_unknown_until_a_check_has_ended():
    found = judge(facts(instance(servers=(state("unchecked", ""),))))
    assert found[:2] == ("grey", "Unknown")


def test_maintenance_suspends_and_its_answers_do_not_count():
    resting = environment(settings={"maintenance": "on"})
    found = judge(facts(environment=resting, stats=RequestStats(100, (0, 0, 0, 0, 100)), unreached=100))
    assert found[:3] == (
        "grey",
        "Suspended",
        ("The environment is in maintenance: every request is answered with 503.",),
    )
    dead = instance(services=(GOOD._replace(status="exited", exit_code=1),))
    assert judge(facts(dead, environment=resting)).status == "Severe"


def test_what_reached_no_instance_is_told():
    found = judge(facts(stats=RequestStats(100, (0, 70, 0, 0, 30)), unreached=30))
    assert found.causes == (
        "30.0 % of the requests are failing with HTTP 5xx.",
        "30.0 % of the requests reached no instance.",
    )


def test_a_terminated_environment():
    gone = environment(terminated=5, status="Terminated")
    assert judge(Facts(gone, NOW))[:3] == ("grey", "Unknown", ("The environment is terminated.",))


class TestOperations:
    operation = Operation(
        7, "shop", "deploy", "ann", int((NOW - 31) * 1e9), Wish(version="v2", deployment=2), "running"
    )

    words = "Application update in progress (running for 31 seconds)."

    def steps(self, *entries):
        return tuple(
            StepRecord(position, stage, step, state, int((NOW - since) * 1e9) if since else 0)
            for position, (stage, step, state, since) in enumerate(entries)
        )

    def test_a_command_is_executing(self):
        steps = self.steps(
            (0, Start("i-4", 2, "v2"), "done", 30),
            (0, Start("i-5", 2, "v2"), "running", 12),
            (1, Check("i-4"), "running", 20),
            (1, Check("i-5"), "waiting", 0),
            (2, Enter((("i-4", 100), ("i-5", 100))), "waiting", 0),
            (3, Leave(("i-1",)), "waiting", 0),
            (4, Stop("i-1"), "waiting", 0),
        )
        dead = GOOD._replace(status="exited", exit_code=1)
        new = [instance(number, services=(dead,), servers=(), serves=False, revision=2) for number in (4, 5)]
        found = five(*new, operation=self.operation, steps=steps, working=True, environment=environment(3))
        assert found[:3] == (
            "green",
            "Info",
            (
                "Command is executing on 2 out of 5 instances.",
                self.words + " Now: Start instance i-5 with version v2; Wait until i-4 is healthy.",
            ),
        )
        assert [one.status for one in found.instances] == ["Ok", "Ok", "Ok", "Pending", "Pending"]
        assert found.instances[3].causes == ("Performing initialization (running for 30 seconds).",)

    def test_one_that_leaves(self):
        steps = self.steps((3, Leave(("i-1",)), "done", 15), (4, Stop("i-1"), "running", 5))
        found = judge(facts(instance(services=()), operation=self.operation, steps=steps, working=True))
        assert found.instances[0][2:4] == ("Pending", ("Performing removal (running for 15 seconds).",))
        assert found.causes[0] == "Command is executing on all instances."

    def test_after_the_timeout_what_is_wrong_counts(self):
        steps = self.steps((0, Start("i-1", 2, "v2"), "done", 700), (1, Check("i-1"), "running", 650))
        slow = instance(services=(GOOD._replace(status="exited", exit_code=1),))
        found = judge(facts(slow, operation=self.operation, steps=steps, working=True))
        assert found.status == "Severe"
        assert found.instances[0].causes == (
            "web exited with code 1.",
            "Performing initialization (running for 11 minutes).",
        )

    def test_others_are_judged_meanwhile(self):
        dead = instance(services=(GOOD._replace(status="exited", exit_code=1),))
        found = judge(facts(dead, operation=self.operation, working=True))
        assert found.status == "Severe"

    def test_a_step_that_concerns_no_instance(self):
        steps = self.steps((0, RunRelease(2, "v2"), "running", 3))
        found = judge(facts(operation=self.operation, steps=steps, working=True))
        assert found.causes == (
            "Application update in progress (running for 31 seconds). Now: Run the release step of version v2.",
        )

    def test_the_first_launch_is_pending(self):
        new = environment(2, status="Launching", revision=0, version="")
        found = judge(Facts(new, NOW, operation=self.operation._replace(kind="create"), working=True))
        assert found[:3] == ("grey", "Pending", ("Launch in progress (running for 31 seconds).",))

    def test_one_that_is_taken_back(self):
        found = judge(facts(operation=self.operation._replace(state="undoing"), working=True))
        assert found.causes == ("Application update is taken back (running for 31 seconds).",)

    def test_one_that_was_cut_off(self):
        found = judge(facts(operation=self.operation))
        assert found[:2] == ("yellow", "Warning")
        assert found.causes[0].startswith("The operation deploy, begun 31 seconds ago by ann, was cut off:")


class TestDeployments:
    def last(self, result, since=23.0, cause=""):
        ended = int((NOW - since) * 1e9)
        begun = ended - 26 * 10**9
        return Deployment("shop", 1, "deploy", "ann", begun, 0, 1, "", "v1", "rolling", "", ended, result, cause)

    def test_one_that_succeeded_is_told_for_a_while(self):
        words = ("Application deployment completed 23 seconds ago and took 26 seconds.",)
        found = judge(facts(deployment=self.last("succeeded")))
        assert found[:3] == ("green", "Ok", words)
        assert found.instances[0].causes == words
        assert judge(facts(deployment=self.last("succeeded", 120))).causes == ()

    def test_one_that_was_taken_back(self):
        found = judge(facts(deployment=self.last("failed", cause="i-2 is not healthy.")))
        words = "Application deployment 1 (version v1) failed 23 seconds ago and was taken back: i-2 is not healthy."
        assert found[:3] == ("green", "Info", (words,))
        assert judge(facts(deployment=self.last("failed", 601))).causes == ()
        assert "was aborted 23 seconds ago" in judge(facts(deployment=self.last("aborted"))).causes[0]

    def test_one_that_was_left_as_it_was(self):
        found = judge(facts(deployment=self.last("broken", 3600, "boom")))
        words = "Application deployment 1 (version v1) failed 1 hour ago and was not taken back: boom."
        assert found[:3] == ("yellow", "Warning", (words,))


def test_durations():
    assert [ago(one) for one in (-1, 0.9, 1, 59, 60, 7199, 7200, 90000, 864000)] == [
        *("0 seconds", "0 seconds", "1 second", "59 seconds", "1 minute", "1 hour", "2 hours", "1 day", "10 days"),
    ]


services = st.builds(
    GOOD._replace,
    status=st.sampled_from(["running", "exited", "restarting", "paused", "created", "dead", "removing"]),
    health=st.sampled_from(["", "starting", "healthy", "unhealthy"]),
    exit_code=st.integers(0, 255),
    restarts=st.integers(0, 9),
    started=st.floats(0, NOW),
    oom_killed=st.booleans(),
)
states = st.builds(state, st.sampled_from(["up", "down", "draining", "unchecked"]), st.sampled_from(["", "why"]))
counts = st.integers(0, 500)
answers = st.tuples(counts, counts, counts, counts, counts).map(lambda given: RequestStats(sum(given), given))
instances = st.builds(
    instance,
    st.integers(1, 9),
    revision=st.integers(1, 2),
    serves=st.booleans(),
    services=st.lists(services, max_size=2).map(tuple),
    servers=st.lists(states, max_size=2).map(tuple),
    stats=answers,
)


@given(st.lists(instances, max_size=6, unique_by=lambda one: one.name), answers, st.booleans(), st.booleans())
def test_whatever_is_found_has_a_colour_and_a_cause(found, stats, routed, balancer):
    health = judge(Facts(environment(2), NOW, tuple(found), stats=stats, routed=routed, balancer=balancer))
    for one in (health, *health.instances):
        expected = {"Ok": "green", "Info": "green", "Warning": "yellow", "Degraded": "red", "Severe": "red"}
        assert one.color == expected.get(one.status, "grey")
        assert one.causes or one.status == "Ok"
        assert all(cause.endswith(".") and "  " not in cause for cause in one.causes)
        assert len(set(one.causes)) == len(one.causes)


def test_errors_of_some_instances_are_told_and_those_of_all_are_the_environments():
    failing = RequestStats(100, (0, 80, 0, 0, 20))
    words = "20.0 % of the requests are failing with HTTP 5xx."
    some = five(instance(5, stats=failing), stats=RequestStats(500, (0, 480, 0, 0, 20)))
    assert some[:3] == (
        "yellow",
        "Warning",
        (
            "Too many errors or slow answers on 1 out of 5 instances.",
            f"i-5: {words}",
            "4.0 % of the requests are failing with HTTP 5xx.",
        ),
    )
    every = judge(facts(*(instance(number, stats=failing) for number in (1, 2)), stats=failing))
    assert every[:3] == ("red", "Degraded", (words,))
