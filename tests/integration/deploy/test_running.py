"""Jobs by the clock on real containers: a request to one instance, and commands that run at once."""

import threading

import pytest
from tests.installation import eventually
from tests.integration.deploy.test_local_target import MODEL, accessories, answer, instance, target

from wherry.base.errors import OperationFailed, Unavailable
from wherry.base.paths import Layout
from wherry.base.progress import nobody
from wherry.deploy.cron import Job
from wherry.deploy.fakes import World, fake_parts
from wherry.deploy.model import Environment, Revision, Version
from wherry.deploy.running import perform
from wherry.deploy.schedules import BACKUP

__all__ = ["target"]

# Answers a request with what its first line and headers were, and with the status that its path ends with.
ECHO = (
    "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort=>80, Listen=>9, ReuseAddr=>1) or die; $| = 1;"
    ' while (my $c = $s->accept) { my $all = ""; while (my $l = <$c>) { last if $l =~ /^\\r?$/; $all .= $l }'
    " print $all; my ($code) = $all =~ m{/(\\d+) HTTP};"
    ' print $c "HTTP/1.0 " . ($code || 200) . " X\\r\\n\\r\\nhello\\n";'
    " close $c }"
)
SERVICES = {**MODEL["services"], "web": {**MODEL["services"]["web"], "command": ["perl", "-e", ECHO]}}
ECHOING = {**MODEL, "services": SERVICES}


@pytest.fixture
def parts(wherry, target):  # noqa: F811 (a fixture)
    """Real instances and records; the balancer is a fake."""
    name = target.environment
    made = fake_parts(Layout(wherry.root, wherry.run), World())._replace(target=target)
    records = made.records
    records.ensure_application(name)
    records.add_version(Version(name, "v1", 1, ECHOING))
    records.add_environment(Environment(name, name, f"{name}.localhost", 1))
    records.add_revision(Revision(name, 1, "v1"), ())
    target.ensure_accessories(accessories(target), nobody)
    for number in ("i-1", "i-2"):
        records.add_instance(name, number, 1)
        answer(target.start(instance(target, number, model=ECHOING), nobody))
    records.weigh(name, {"i-1": 100, "i-2": 100})
    records.change_environment(name, revision=1)
    yield made
    records.remove_environment(name)
    records.remove_version(name, "v1")
    records.remove_application(name)


def requests(target, path):  # noqa: F811
    """What instances heard of a path: the lines of the request."""
    text = b"".join(line.data for line in target.logs(target.environment, services=["web"])).decode()
    found = [part for part in text.replace("\r", "").split("POST ") if part.startswith(f"{path} ")]
    return found if found and all("Sqsd-Scheduled-At" in part for part in found) else []


def test_a_request_goes_to_one_instance_with_what_workers_are_used_to(parts, target):  # noqa: F811
    job = Job("report", "@daily", url="/tasks/report")
    said = perform(parts, target.environment, job, 1_785_000_000)
    assert said in ("/tasks/report of i-1 answered 200", "/tasks/report of i-2 answered 200")
    (heard,) = eventually(lambda: requests(target, "/tasks/report"))
    lines = dict(line.split(": ", 1) for line in heard.splitlines() if ": " in line)
    assert lines["X-Aws-Sqsd-Taskname"] == "report"
    assert lines["X-Aws-Sqsd-Scheduled-At"] == "2026-07-25T17:20:00Z"
    assert lines["User-Agent"].startswith("aws-sqsd/")
    assert lines["Host"] == f"{target.environment}.localhost"


def test_what_is_refused_has_failed_and_is_not_asked_elsewhere(parts, target):  # noqa: F811
    with pytest.raises(OperationFailed, match=r"/a/503 of i-\d answered 503"):
        perform(parts, target.environment, Job("a", "@daily", url="/a/503"), 0)
    assert len(eventually(lambda: requests(target, "/a/503"))) == 1


def test_an_instance_that_takes_no_connection_is_passed_over(parts, target):  # noqa: F811
    job = Job("a", "@daily", url="/a", service="worker", port=80)
    with pytest.raises(Unavailable, match="no instance takes a connection for /a"):
        perform(parts, target.environment, job, 0)


def test_commands_run_beside_each_other_and_are_gone_afterwards(parts, target):  # noqa: F811
    said = {}

    def run(name, script):
        job = Job(name, "@daily", service="worker", command=("sh", "-c", script))
        try:
            said[name] = perform(parts, target.environment, job, 0)
        except OperationFailed as error:
            said[name] = error.message

    scripts = {"one": "echo first; sleep 1; echo one", "two": "sleep 1; echo two", "bad": "echo no >&2; exit 3"}
    threads = [threading.Thread(target=run, args=item) for item in scripts.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {"one": "first / one", "two": "two", "bad": "it ended with exit code 3: no"}
    assert [one.name for one in target.observe(target.environment)] == ["i-1", "i-2", ""]
    lines = {(line.instance, line.data) for line in target.logs(target.environment)}
    assert ("job-one", b"one\n") in lines


def test_a_backup_by_the_clock_keeps_as_many_as_are_set(parts, target):  # noqa: F811
    parts.records.change_environment(target.environment, settings={"backup.keep": "1"})
    assert " of db, " in perform(parts, target.environment, Job(BACKUP, "@daily"), 0)
    assert perform(parts, target.environment, Job(BACKUP, "@daily"), 0).endswith("; 1 older one deleted")
