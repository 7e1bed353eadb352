"""What a job by the clock does when its time has come: a request to one instance, a command, or a backup."""

from __future__ import annotations

from wherry.base.errors import NotFound, OperationFailed, Unavailable
from wherry.deploy.cron import run_name
from wherry.deploy.membership import Membership
from wherry.deploy.sections import addresses_of
from wherry.deploy.settings import Settings
from wherry.deploy.tail import Tail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.deploy.cron import Job
    from wherry.deploy.model import Environment
    from wherry.deploy.parts import Parts

__all__ = ["perform"]

_LAST_LINES = 3


def perform(parts: Parts, name: str, job: Job, time: int) -> str:
    """Do the job of the environment `name` that was planned for `time` (seconds since 1970); a few words on it.

    Raises WherryError where it fails: an answer other than 2xx, an exit code other than 0.
    """
    environment = parts.records.environment(name)
    if job.command:
        return _command(parts, environment, job)
    return _request(parts, environment, job, time) if job.url else _backup(parts, environment)


# --- a request


def _request(parts: Parts, environment: Environment, job: Job, time: int) -> str:
    """POST to one instance. One that takes no connection has heard nothing, so the next is asked."""
    reached = False
    for instance, address, port in _places(parts, environment, job):
        reached = True
        try:
            status = _post(address, port, environment.host, job, time)
        except ConnectionRefusedError:
            continue
        except OSError as error:
            why = f"did not answer within {job.timeout:g} s" if isinstance(error, TimeoutError) else str(error)
            raise OperationFailed(f"{job.url} of {instance}: {why}") from None
        if not 200 <= status < 300:
            raise OperationFailed(f"{job.url} of {instance} answered {status}")
        return f"{job.url} of {instance} answered {status}"
    if reached:
        raise Unavailable(f"no instance takes a connection for {job.url}")
    raise Unavailable(f"no instance runs that {job.url} could be asked of")


def _places(parts: Parts, environment: Environment, job: Job) -> Iterator[tuple[str, str, int]]:
    """Instance, address and port of those that serve the current version first, and of the others."""
    membership = Membership(parts)
    observed = {one.name: one for one in parts.target.observe(environment.name)}
    down = {one.instance for one in parts.balancer.states(environment.name) if one.status == "down"}
    rows = [one for one in parts.records.instances(environment.name) if not one.draining]
    rows.sort(key=lambda one: (one.name in down, not one.serves, one.revision != environment.revision, one.number))
    for row in rows:
        service, port = job.service, job.port
        if not port:
            service, port = _route(membership, environment, job, row.revision)
        yield from ((row.name, address, port) for address in addresses_of(observed.get(row.name), service) if address)


def _route(membership: Membership, environment: Environment, job: Job, revision: int) -> tuple[str, int]:
    """Where the balancer would send the job's path: to the longest that it begins with."""
    routes = [
        one
        for one in membership.extension_of(environment.name, revision).routes
        if (not job.service or one.service == job.service) and job.url.startswith(one.path)
    ]
    if not routes:
        raise NotFound(
            f"no route leads to {job.url}", hint="name the job's `service` and `port` in cron.yaml where it has none"
        )
    own = [one for one in routes if one.host in ("", environment.host)] or routes
    found = max(own, key=lambda one: len(one.path))
    return found.service, found.port


def _post(address: str, port: int, host: str, job: Job, planned: int) -> int:
    """The status. The headers are those of Elastic Beanstalk's daemon for workers."""
    from http.client import HTTPConnection, HTTPException
    from time import gmtime, strftime

    scheduled = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(planned))
    headers = {
        "Host": host,
        "User-Agent": "aws-sqsd/3.0 (wherry)",
        "Content-Type": "application/json",
        "Content-Length": "0",
        "X-Aws-Sqsd-Msgid": f"{job.name}-{planned}",
        "X-Aws-Sqsd-Receive-Count": "1",
        "X-Aws-Sqsd-Taskname": job.name,
        "X-Aws-Sqsd-Scheduled-At": scheduled,
        "X-Forwarded-Host": host,
    }
    connection = HTTPConnection(address, port, timeout=job.timeout)
    try:
        connection.request("POST", job.url, headers=headers)
        return connection.getresponse().status
    except HTTPException as error:
        raise ConnectionError(f"this is no answer in HTTP: {error!r}") from None
    finally:
        connection.close()


# --- a command


def _command(parts: Parts, environment: Environment, job: Job) -> str:
    from wherry.deploy.target import Release

    name = run_name(job.name)
    wish = Membership(parts).instance_wish(environment.name, name, environment.revision)
    tail = Tail()
    code = parts.target.release(Release(wish, job.service, job.command, job.timeout, name), tail)
    last = tail.last(_LAST_LINES)
    if code:
        raise OperationFailed(f"it ended with exit code {code}{': ' if last else ''}{last}")
    return last


# --- a backup


def _backup(parts: Parts, environment: Environment) -> str:
    from wherry.base.progress import nobody
    from wherry.deploy.local.backups import Backups

    backups = Backups(parts.layout, environment.name)
    made = backups.create(nobody)
    gone = backups.keep(Settings(environment.settings).count("backup.keep"))
    went = f"; {len(gone)} older one{'' if len(gone) == 1 else 's'} deleted" if gone else ""
    return f"{made.name} of {', '.join(made.services)}, {made.bytes} bytes{went}"
