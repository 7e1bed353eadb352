import signal
import threading

import pytest

from wherry.base.errors import Conflict, InvalidInput, StepFailed, Unavailable, Unsupported
from wherry.base.progress import Started, Warned
from wherry.compose import ProjectOptions, load_project
from wherry.compose import labels as label
from wherry.compose.apply import ApplyOptions
from wherry.compose.building import build_order, plan_images
from wherry.compose.converging import carry_out, observe, scaled
from wherry.compose.fake import FakeEngine
from wherry.compose.files import file_wishes
from wherry.compose.following import Follower, LogOptions, merged_logs
from wherry.compose.plan import UpOptions, plan_up
from wherry.compose.readers import MemorySource
from wherry.compose.requests import Making, check_supported, container_wish
from wherry.compose.teardown import DownOptions, plan_down
from wherry.compose.waiting import wait_for, wait_until_ready
from wherry.engine.request import MountRequest, PortRequest


def load(text, **environment):
    return load_project(ProjectOptions(environment, "/p"), MemorySource({"/p/compose.yaml": text}))


def up(engine, project, options=None, apply=ApplyOptions(), told=None):  # noqa: B008
    state = observe(engine, project.name, project)
    plan = plan_up(project, state, options or UpOptions())
    return carry_out(engine, project, state, plan, (told if told is not None else []).append, apply)


def down(engine, project, options=None):
    state = observe(engine, project.name, project)
    carry_out(
        engine,
        None,
        state,
        plan_down(project.name, project, state, options or DownOptions()),
        lambda _: None,
        ApplyOptions(),
    )


THREE = """
services:
  db: {image: i, healthcheck: {test: x}}
  job: {image: i, depends_on: {db: {condition: service_healthy}}}
  web: {image: i, depends_on: {job: {condition: service_completed_successfully}}}
"""


def test_up_and_up_again_and_down():
    engine = FakeEngine(["i"], health={"db": "healthy"}, ends={"job": 0})
    project = load(THREE)
    started = up(engine, project)
    assert set(started) == {"p-db-1", "p-job-1", "p-web-1"}
    order = [name for verb, name in engine.calls if verb == "start"]
    assert order == ["p-db-1", "p-job-1", "p-web-1"]
    engine.calls.clear()
    down(engine, project)
    assert engine.containers() == []
    assert engine.calls[-1] == ("remove-network", "p_default")


def test_a_second_up_touches_nothing_and_says_so():
    engine, told = FakeEngine(["i"]), []
    project = load("services: {a: {image: i}, b: {image: i}}")
    up(engine, project)
    engine.calls.clear()
    up(engine, project, told=told)
    assert engine.calls == []
    assert [event.title for event in told] == ["Container p-a-1  Running", "Container p-b-1  Running"]


def test_healthy_is_waited_for_and_comes_by_an_event():
    engine = FakeEngine(["i"], health={"db": "starting"})
    project = load("services: {db: {image: i}, web: {image: i, depends_on: {db: {condition: service_healthy}}}}")
    thread = threading.Thread(target=up, args=(engine, project))
    thread.start()
    engine.wait_until(lambda: ("start", "p-db-1") in engine.calls or None)
    (db,) = [one for one in engine.containers("p") if one.service == "db"]
    assert ("start", "p-web-1") not in engine.calls
    engine.wait_until(lambda: engine.container(db.id).health == "starting" or None)
    engine.change(db.id, health="healthy")
    thread.join(10)
    assert ("start", "p-web-1") in engine.calls


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ({"health": {"db": "unhealthy"}}, "p-db-1 is unhealthy"),
        ({"ends": {"db": 3}}, r"exited \(3\)"),
        ({}, "no healthcheck configured"),
    ],
)
def test_what_will_never_be_healthy_fails_at_once(engine, words):
    fake = FakeEngine(["i"], **engine)
    text = "services: {db: {image: i}, web: {image: i, depends_on: {db: {condition: service_healthy, required: %s}}}}"
    with pytest.raises(Conflict, match=words):
        up(fake, load(text % "true"))
    assert ("start", "p-web-1") not in fake.calls


@pytest.mark.parametrize("status", ["restarting", "created"])
def test_what_its_restart_policy_starts_again_may_be_healthy_yet(status):
    """While it does not run it is called unhealthy, as Docker calls it."""
    engine, project = FakeEngine(["i"]), load("services: {db: {image: i}}")
    up(engine, project)
    [db] = engine.containers("p")
    engine.change(db.id, status=status, health="unhealthy")
    looks = []

    def look():
        looks.append(engine.container(db.id).health)
        engine.change(db.id, status="running", health="healthy")

    wait_for(engine, project, "db", "service_healthy", look)
    engine.change(db.id, status=status, health="unhealthy")
    wait_until_ready(engine, project, None, look)
    assert looks == ["unhealthy", "unhealthy"]


def test_waiting_can_be_ended_by_who_looks():
    engine = FakeEngine(["i"], health={"db": "starting"})
    project = load("services: {db: {image: i}, web: {image: i, depends_on: {db: {condition: service_healthy}}}}")

    def look():
        raise Conflict("that is enough")

    with pytest.raises(Conflict, match="that is enough"):
        up(engine, project, apply=ApplyOptions(look=look))
    with pytest.raises(Conflict, match="that is enough"):
        wait_until_ready(engine, project, None, look)


def test_files_that_a_reboot_took_are_written_again_where_nothing_else_is_to_be_done():
    engine = FakeEngine(["i"])
    services = "{db: {image: i, secrets: [key]}, web: {image: i}}"
    project = load(f"{{services: {services}, secrets: {{key: {{environment: KEY}}}}}}", KEY="x")
    up(engine, project)
    (db,) = [one for one in engine.containers("p") if one.service == "db"]
    engine.without_files.add(db.id)
    engine.change(db.id, status="restarting")
    engine.calls.clear()
    up(engine, project)
    assert engine.calls == [("renew /run/secrets/key", "p-db-1"), ("restart", "p-db-1")]
    engine.calls.clear()
    up(engine, project)
    assert engine.calls == []


def test_a_dependency_that_is_not_required_only_warns():
    engine, told = FakeEngine(["i"], ends={"job": 1}), []
    condition = "{condition: service_completed_successfully, required: false}"
    up(engine, load(f"services: {{job: {{image: i}}, web: {{image: i, depends_on: {{job: {condition}}}}}}}"), told=told)
    assert ("start", "p-web-1") in engine.calls
    assert any(isinstance(event, Warned) and "exit 1" in event.message for event in told)


def test_a_job_that_fails_stops_what_waits_for_it():
    engine = FakeEngine(["i"], ends={"job": 2}, health={"db": "healthy"})
    with pytest.raises(Conflict, match='"job" didn\'t complete successfully: exit 2'):
        up(engine, load(THREE))
    assert ("start", "p-web-1") not in engine.calls


def test_an_error_stops_what_has_not_begun_and_the_next_up_goes_on():
    engine = FakeEngine(["i"], fails=["start p-a-1"])
    project = load("services: {a: {image: i}, b: {image: i, depends_on: [a]}}")
    with pytest.raises(Conflict, match="start p-a-1 fails"):
        up(engine, project)
    assert ("start", "p-b-1") not in engine.calls
    engine.fails.clear()
    engine.calls.clear()
    up(engine, project)
    assert engine.calls == [("start", "p-a-1"), ("start", "p-b-1")]


def test_at_most_as_much_at_once_as_allowed():
    engine = FakeEngine(["i"])
    busy, most, lock = [0], [0], threading.Lock()
    create = engine.create

    def slow(wish):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        try:
            return create(wish)
        finally:
            with lock:
                busy[0] -= 1

    engine.create = slow
    up(engine, load("services: {a: {image: i, scale: 8}}"), apply=ApplyOptions(parallel=1))
    assert most == [1]
    assert len(engine.containers("p")) == 8


def test_recreated_containers_take_over_anonymous_volumes_only():
    engine = FakeEngine(["i"])
    text = "services: {a: {image: i, volumes: [/anon, 'data:/d'], labels: {v: %d}}}\nvolumes: {data: }"
    up(engine, load(text % 1))
    (first,) = engine.containers("p")
    anonymous = next(mount.volume for mount in first.mounts if mount.target == "/anon")
    up(engine, load(text % 2))
    (second,) = engine.containers("p")
    assert second.id != first.id
    assert second.name == "p-a-1"
    assert second.labels[label.REPLACE] == first.id
    mounts = [mount for mount in engine.wishes[second.id].request.mounts if mount.target == "/anon"]
    assert mounts == [MountRequest("volume", "/anon", anonymous)]
    verbs = [verb for verb, _ in engine.calls]
    assert verbs[-5:] == ["create", "stop", "remove", "rename", "start"]


def test_what_is_still_in_use_is_kept_with_a_word():
    engine, told = FakeEngine(["i"], fails=["remove-network p_default"]), []
    project = load("services: {a: {image: i}}")
    up(engine, project)
    state = observe(engine, "p", project)
    carry_out(engine, None, state, plan_down("p", project, state, DownOptions()), told.append, ApplyOptions())
    assert any(isinstance(event, Warned) and "still in use" in event.message for event in told)


def test_wait_until_ready():
    engine = FakeEngine(["i"], health={"a": "healthy"})
    project = load("services: {a: {image: i}, b: {image: i}}")
    up(engine, project)
    wait_until_ready(engine, project, 5)
    (b,) = [one for one in engine.containers("p") if one.service == "b"]
    engine.change(b.id, health="starting")
    with pytest.raises(Unavailable, match=r"not healthy after 0\.01s"):
        wait_until_ready(engine, project, 0.01)
    engine.change(b.id, status="exited", exit_code=4)
    with pytest.raises(StepFailed, match=r"exited \(4\)"):
        wait_until_ready(engine, project, 5)


def test_output_is_followed_until_all_have_ended():
    engine, lines = FakeEngine(["i"]), []
    project = load("services: {a: {image: i}, b: {image: i}}")
    up(engine, project)
    follower = Follower(engine, lambda one, record: lines.append((one.service, record.data)), LogOptions(follow=True))
    containers = engine.containers("p")
    for one in containers:
        engine.write(one.id, f"hello from {one.service}")
    follower.add(containers)
    engine.change(containers[0].id, status="exited", exit_code=7)
    first = follower.next_end()
    assert (first.container.service, first.exit_code) == ("a", 7)
    engine.change(containers[1].id, status="exited")
    assert follower.next_end().container.service == "b"
    assert follower.next_end() is None
    assert sorted(lines) == [("a", b"hello from a\n"), ("b", b"hello from b\n")]


def test_what_was_written_is_shown_in_the_order_of_time():
    engine = FakeEngine(["i"])
    project = load("services: {a: {image: i}, b: {image: i}}")
    up(engine, project)
    first, second = engine.containers("p")
    for second_of, one in enumerate([first, second, second, first]):
        engine.write(one.id, str(second_of), second=second_of)
    found = [record.data for _, record in merged_logs(engine, [first, second], LogOptions())]
    assert found == [b"0\n", b"1\n", b"2\n", b"3\n"]
    assert len(list(merged_logs(engine, [first, second], LogOptions(tail=1)))) == 2


def wish(text, service="a", number=1, **environment):
    project = load(text, **environment)
    making = Making(f"p-{service}-{number}", number, {"own": "label"}, lambda name: f"id-of-{name}")
    return container_wish(project, project.services[service], making)


def test_a_service_as_a_container():
    made = wish(
        """
services:
  a:
    image: i
    command: x y
    environment: {A: 1, GONE: }
    ports: ["127.0.0.1:8080:80", "9000-9005:90", "70/udp"]
    volumes: ["./src:/src:ro", "data:/d", /anon, {type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0o1777}}]
    tmpfs: ["/run:size=1m"]
    restart: on-failure:3
    stop_grace_period: 1500ms
    mem_limit: 64m
    cpus: 0.5
    ulimits: {nofile: 10, nproc: {soft: 1, hard: 2}}
    extra_hosts: ["h:1.2.3.4"]
    healthcheck: {test: [CMD, x], interval: 5s, retries: 2}
    pid: service:b
    networks: {one: {aliases: [z]}, two: {priority: 5, ipv4_address: 10.1.1.1}}
  b: {image: i}
networks: {one: , two: }
volumes: {data: }
""",
        number=2,
    )
    request = made.request
    assert request.command == ("x", "y")
    assert request.environment == ("A=1",)
    assert request.ports == (
        PortRequest(80, "tcp", "127.0.0.1", 8080),
        PortRequest(90, "tcp", "", 9001),
        PortRequest(70, "udp"),
    )
    assert request.mounts[:3] == (
        MountRequest("bind", "/src", "/p/src", True, create_source=True),
        MountRequest("volume", "/d", "p_data"),
        MountRequest("volume", "/anon"),
    )
    assert request.mounts[3:] == (
        MountRequest("tmpfs", "/t", options=("mode=01777",), size=1048576),
        MountRequest("tmpfs", "/run", options=("size=1m",)),
    )
    assert (request.restart.name, request.restart.maximum, request.stop_timeout) == ("on-failure", 3, 2)
    assert (request.limits.memory, request.limits.nano_cpus) == (67108864, 500_000_000)
    assert [(one.name, one.soft, one.hard) for one in request.limits.ulimits] == [("nofile", 10, 10), ("nproc", 1, 2)]
    assert request.add_hosts == ("h:1.2.3.4",)
    assert (request.health.test, request.health.interval, request.health.retries) == (("CMD", "x"), 5_000_000_000, 2)
    assert request.pid_mode == "container:id-of-b"
    assert [one.network for one in made.attachments] == ["p_two", "p_one"]
    assert made.attachments[1].aliases == ("a", "z")
    assert request.labels == {"own": "label"}


@pytest.mark.parametrize("key", ["gpus: all", "runtime: x", "userns_mode: host", "logging: {driver: syslog}"])
def test_what_the_engine_cannot_do_is_refused_by_its_key(key):
    project = load(f"services: {{a: {{image: i, {key}}}}}")
    with pytest.raises(Unsupported, match=r"services\.a\." + key.partition(":")[0]):
        check_supported(project.services["a"])


def test_secrets_never_become_part_of_the_request():
    text = """
services:
  a: {image: i, secrets: [{source: s, mode: 0400, uid: "5"}], configs: [c]}
secrets: {s: {environment: TOKEN}}
configs: {c: {content: "x=${TOKEN}"}}
"""
    project = load(text, TOKEN="hush-hush")
    files = file_wishes(project, project.services["a"])
    assert [(one.target, one.content, one.mode, one.uid) for one in files] == [
        ("/run/secrets/s", "hush-hush", 0o400, 5),
        ("/c", "x=hush-hush", 0o444, 0),
    ]
    making = Making("p-a-1", 1, {}, str, files=files)
    assert "hush-hush" not in repr(container_wish(project, project.services["a"], making).request)
    with pytest.raises(InvalidInput, match='"TOKEN" required by "s" is not set'):
        file_wishes(project._replace(environment={}), project.services["a"])


@pytest.mark.parametrize(
    ("service", "present", "options", "build", "pull"),
    [
        ("image: i", [], {}, [], ["a"]),
        ("image: i", ["i"], {}, [], []),
        ("image: i", ["i"], {"pull": "always"}, [], ["a"]),
        ("build: .", [], {}, ["a"], []),
        ("build: .", ["p-a"], {}, [], []),
        ("build: .", ["p-a"], {"build": True}, ["a"], []),
        ("image: i, build: .", ["i"], {}, [], []),
        ("image: i, build: ., pull_policy: build", ["i"], {}, ["a"], []),
        ("image: i, build: ., pull_policy: always", [], {}, [], ["a"]),
        ("image: i, pull_policy: never", ["i"], {}, [], []),
    ],
)
def test_which_images_are_built_and_fetched(service, present, options, build, pull):
    planned = plan_images(load(f"services: {{a: {{{service}}}}}"), present, **options)
    assert (list(planned.build), list(planned.pull)) == (build, pull)


def test_an_image_that_may_neither_be_built_nor_fetched():
    with pytest.raises(InvalidInput, match="is not here"):
        plan_images(load("services: {a: {build: .}}"), [], no_build=True)
    with pytest.raises(InvalidInput, match="is not here"):
        plan_images(load("services: {a: {image: i}}"), [], pull="never")


def test_builds_come_after_those_they_are_made_from():
    contexts = "additional_contexts: {base: 'service:b'}"
    project = load(f"services: {{a: {{build: {{context: ., {contexts}}}}}, b: {{build: .}}}}")
    assert build_order(project, ["a", "b"]) == [["b"], ["a"]]


def test_scale():
    project = scaled(load("services: {a: {image: i}}"), {"a": 3})
    assert project.services["a"].scale == 3


def test_progress_names_what_is_done():
    told = []
    up(FakeEngine(["i"]), load("services: {a: {image: i}}"), told=told)
    titles = [event.title for event in told if isinstance(event, Started)]
    assert titles == ["Network p_default  Creating", "Container p-a-1  Creating", "Container p-a-1  Starting"]


def test_an_interrupt_waits_for_what_is_under_way_unless_impatient():
    for patient in (True, False):
        engine = FakeEngine(["i"])
        project = load("services: {a: {image: i}, b: {image: i, depends_on: [a]}}")
        begun, may_go_on = threading.Event(), threading.Event()
        start = engine.start

        def slow(identifier, files=(), start=start, begun=begun, may_go_on=may_go_on):
            begun.set()
            may_go_on.wait(20)
            start(identifier, files)

        def interrupt(begun=begun, may_go_on=may_go_on, patient=patient):
            begun.wait(20)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            if patient:
                may_go_on.set()

        engine.start = slow
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            up(engine, project, apply=ApplyOptions(patient=patient))
        assert (("start", "p-a-1") in engine.calls) is patient
        assert ("start", "p-b-1") not in engine.calls
        may_go_on.set()


def test_an_interrupt_just_before_a_step_begins_does_not_wait_for_it(monkeypatch):
    def interrupted(thread):
        raise KeyboardInterrupt

    engine = FakeEngine(["i"])
    project = load("services: {a: {image: i}}")
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        up(engine, project)
    assert not engine.calls


def test_an_interrupt_while_a_thread_is_started_comes_when_it_has_started(monkeypatch):
    """CPython 3.11 would leave a lock of Thread.start half taken."""
    start = threading.Thread.start

    def interrupted(thread):
        signal.raise_signal(signal.SIGINT)
        start(thread)

    engine = FakeEngine(["i"])
    project = load("services: {a: {image: i}, b: {image: i, depends_on: [a]}}")
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        up(engine, project)
    assert [words for words, *_ in engine.calls] == ["create-network"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_in_the_last_step_is_not_lost(number):
    engine = FakeEngine(["i"])
    start = engine.start

    def interrupted(*values):
        start(*values)
        signal.pthread_kill(threading.main_thread().ident, number)

    engine.start = interrupted
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            up(engine, load("services: {a: {image: i}}"))
    finally:
        signal.signal(signal.SIGTERM, former)
    assert ("start", "p-a-1") in engine.calls
