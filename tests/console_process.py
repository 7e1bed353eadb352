"""A console of its own for tests: `wherry serve` over made-up environments, as a process.

Run as a program, it serves the root that WHERRY_ROOT names: an environment `shop` of two instances whose target and
balancer are fakes, so that operations are real and run nothing. Versions called `slow` never become healthy.
"""

import http.cookiejar
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

ROLES = ("viewer", "operator", "admin")
MODEL = {
    "services": {"web": {"image": "web", "ports": [{"target": 80}]}},
    "networks": {"default": {}},
    "volumes": {},
    "x-wherry": {},
}


def password(role):
    return f"{role}-password"


class ConsoleProcess:
    """One `serve` process; `url` is where it is. `argv` is what is run."""

    def __init__(self, argv, environment, directory):
        self._argv, self._environment, self._directory = argv, environment, directory
        self.process, self.url = None, ""

    def start(self):
        out = f"{self._directory}/serve.out"
        with open(out, "w") as file, open(f"{self._directory}/serve.err", "a") as errors:
            self.process = subprocess.Popen(self._argv, env=self._environment, stdout=file, stderr=errors)
        deadline = time.monotonic() + 30
        while not (found := re.search(r"The console is at (\S+)", self.output())):
            assert self.process.poll() is None, self.errors()
            assert time.monotonic() < deadline, "the console did not start in time"
            time.sleep(0.02)
        self.url = found[1]
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        """It ends well, or is killed."""
        try:
            assert self.end() == 0, self.errors()
        finally:
            self.process.kill()
            self.process.wait()

    def output(self):
        with open(f"{self._directory}/serve.out") as file:
            return file.read()

    def errors(self):
        with open(f"{self._directory}/serve.err") as file:
            return file.read()

    def end(self, number=signal.SIGTERM):
        """Its exit code."""
        if self.process is None:
            return None
        self.process.send_signal(number)
        return self.process.wait(30)


class Client:
    """Somebody with cookies who asks a console; redirects are not followed. `authority` is who is trusted (PEM)."""

    def __init__(self, url, authority=""):
        self.url = url
        no_redirect = type("NoRedirect", (urllib.request.HTTPRedirectHandler,), {"redirect_request": lambda *_: None})
        self.cookies = http.cookiejar.CookieJar()
        jar = urllib.request.HTTPCookieProcessor(self.cookies)
        trusting = urllib.request.HTTPSHandler(context=ssl.create_default_context(cadata=authority or None))
        self._opener = urllib.request.build_opener(jar, no_redirect, trusting)

    def __call__(self, path, form=None, **headers):
        data = None if form is None else urllib.parse.urlencode(form).encode()
        sent = {"Origin": self.url, **headers} if form is not None else headers
        try:
            answer = self._opener.open(urllib.request.Request(self.url + path, data, sent), timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.read().decode()


def _serve():
    from wherry.base.clock import system_clock
    from wherry.base.paths import Layout
    from wherry.compose.location import ProjectOptions
    from wherry.deploy.applications import Applications
    from wherry.deploy.balancer import AccessRecord
    from wherry.deploy.control import Control
    from wherry.deploy.environments import Environments
    from wherry.deploy.fakes import World, fake_parts
    from wherry.deploy.traffic import Window
    from wherry.serve.people import People
    from wherry.serve.server import Listening, Serving, serve
    from wherry.serve.showing import Showing

    layout, world = Layout.from_environment(os.environ, os.geteuid()), World()
    parts = fake_parts(layout, world)._replace(clock=system_clock, pause=lambda seconds: time.sleep(min(seconds, 0.05)))
    world.clock = system_clock
    parts.records.clock = parts.records.history._clock = parts.records.journal._clock = system_clock
    world.sick.add("slow")
    people = People(parts.records.database, system_clock)
    for role in ROLES:
        people.add(role, password(role), role)
    parts.versions.models["/project"] = MODEL
    for label in ("v1", "v2", "slow"):
        Applications(parts).add_version("shop", ProjectOptions({}, "/project"), label=label, message=f"Made as {label}")
    environments = Environments(parts, "me")
    settings = {"min": "2", "health.interval": "0.1"}
    environments.create("shop", "shop", "v1", settings=settings, variables={"A": "b"})
    environments.deploy("shop", "v2")
    views = Showing(parts)
    window = Window()
    control = Control(parts, window=window)

    def busy():
        for one in parts.records.instances("shop"):
            moment = system_clock() / 1e9
            record = AccessRecord(moment, "shop", "web", one.name, 200, 12.0, "GET", "/", "127.0.0.1")
            parts.balancer.records.append(record)
            window.add(record)
        control.turn()

    serve(
        layout,
        Listening("127.0.0.1", 0),
        Serving(views, people, busy, 0.5, lambda url: print(f"The console is at {url}", flush=True)),
    )
    os._exit(0)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + "/src")
    _serve()
