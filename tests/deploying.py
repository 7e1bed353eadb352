"""Environments by the command line, for tests: a project in a directory, real containers, a balancer before them."""

import contextlib
import copy
import glob
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from backends import free_port
from console_process import ConsoleProcess
from wherry.base.paths import Layout
from wherry.deploy.balancer import Listener
from wherry.deploy.haproxy import HAProxy

QUICK = ("--set", "health.interval=0.1", "--set", "health.healthy=1")

# Says what SAYS holds, the first letter at once. The rest of what is not for `/` takes BURN seconds of CPU and is
# logged; that of `/slow` comes a second late, of `/slow/5` five, and takes HOLD MiB until then; `/bad` is an error.
# There is a process for each request, and all are killed with the first: what is under way then fails, and no other
# instance can be asked for it.
SERVER = """
use IO::Socket::INET; $| = 1; $SIG{CHLD} = "IGNORE"; print "$ENV{SAYS} is up\\n";
my $server = IO::Socket::INET->new(LocalPort => 80, Listen => 128, ReuseAddr => 1) or die;
while (my $client = $server->accept) {
  if (fork) { close $client; next }
  my ($path) = (<$client> // "") =~ m{^\\w+ (\\S+)} or exit;
  while (my $line = <$client>) { last if $line =~ /^\\r?$/ }
  print "asked for $path\\n" if $path ne "/";
  my $status = $path eq "/bad" ? 500 : 200;
  printf $client "HTTP/1.0 $status X\\r\\nContent-Length: %d\\r\\n\\r\\n", length $ENV{SAYS};
  print $client substr $ENV{SAYS}, 0, 1;
  if ($path =~ m{^/slow/?(\\d*)$}) { my $held = "x" x ($ENV{HOLD} << 20); select undef, undef, undef, $1 || 1 }
  while ($path ne "/" and (times)[0] < $ENV{BURN}) { }
  print $client substr $ENV{SAYS}, 1;
  exit
}
"""


def service(says, burn=0.0, hold=0, **more):
    """The model of a service that is SERVER."""
    return {
        "image": "tiny",
        "command": ["perl", "-e", SERVER.replace("$", "$$")],
        "environment": {"SAYS": says, "BURN": str(burn), "HOLD": str(hold)},
        "ports": ["80"],
        "stop_grace_period": "0s",
        **more,
    }


def reboot(layout):
    """Every process of the installation is gone, and all that is kept in memory; its monitors see nothing end."""
    for pid in [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_of(layout, pid)]:
        _kill(pid)
    for place in glob.glob(f"/sys/fs/cgroup/*/wherry-{layout.tag}/*/cgroup.procs"):
        with open(place) as file:
            for pid in file.read().split():
                _kill(int(pid))
    with open("/proc/self/mountinfo") as table:
        mounted = [line.split()[4] for line in table]
    for path in sorted((one for one in mounted if one.startswith(f"{layout.run}/")), key=len, reverse=True):
        subprocess.run(["umount", "-l", path], check=True)
    shutil.rmtree(layout.run)
    subprocess.run(["nft", "delete", "table", "ip", f"wherry-{layout.tag}"], check=False)
    for link in os.listdir("/sys/class/net"):
        if link.startswith(f"wh{layout.tag}"):
            subprocess.run(["ip", "link", "delete", link], check=False, capture_output=True)


def _is_of(layout, pid):
    """Whether a process is the installation's, other than these tests."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return pid != os.getpid() and f"{layout.run}/".encode() in file.read()
    except OSError:
        return False


def _kill(pid):
    """One process: 0 or less would mean a whole group, this one's own among them."""
    assert pid > 1
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class Commands:
    """`wherry` in a project's directory, and what the balancer answers for environments."""

    def __init__(self, wherry, directory, port):
        self.directory, self.port = directory, port
        self.layout = Layout(wherry.root, wherry.run)
        self._wherry = copy.copy(wherry)
        config = directory / "config.toml"
        config.write_text(f'[balancer]\naddress = "127.0.0.1"\nhttp = {port}\n')
        self._wherry.environment = {**wherry.environment, "WHERRY_CONFIG": str(config), "USER": "ana"}
        self._wherry.environment.pop("SUDO_USER", None)

    def __call__(self, *words, code=0, stdin=b""):
        done = self._wherry(*words, check=False, cwd=self.directory, stdin=stdin)
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.out}\n{done.err}"
        return done.out if code == 0 else done.err

    def start(self, *words, **options):
        return self._wherry.start(*words, cwd=self.directory, **options)

    @property
    def environment(self):
        """Of the processes."""
        return self._wherry.environment

    def write(self, name, services, *, file="compose.yaml", **more):
        """Write the project as it is to be now."""
        (self.directory / file).write_text(json.dumps({"name": name, "services": services, **more}))

    def serve(self, *options):
        """`wherry serve`, not started yet."""
        argv = [sys.executable, "-I", "-m", "wherry", "serve", "--listen", "127.0.0.1:0", *options]
        return ConsoleProcess(argv, self._wherry.environment, self.directory)

    def get(self, environment, path="/"):
        """Status, and what is answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path, headers={"Host": f"{environment}.localhost"})
        answer = connection.getresponse()
        told = answer.read().decode()
        connection.close()
        return answer.status, told

    def rows(self, *words):
        return [json.loads(line) for line in self(*words, "--format", "json").splitlines()]

    def status(self, environment):
        return json.loads(self("env", "status", environment, "--format", "json"))

    def steps(self, environment):
        return [(one["Step"], one["State"]) for one in self.status(environment)["Steps"]]

    def remove(self):
        """All environments and applications that there are."""
        for row in self.rows("env", "list", "--all"):
            self("env", "terminate", "-y", "--volumes", "--purge", row["Name"])
        for row in self.rows("app", "list"):
            self("app", "delete", row["Name"])
        assert self.rows("env", "list", "--all") == []


@pytest.fixture(scope="module")
def balanced(wherry):
    """The port of a balancer, which is taken away at last; its image's build takes most of the time."""
    wherry("base", "build", "--if-missing", "haproxy", timeout=800)
    port = free_port()
    yield port
    HAProxy(Layout(wherry.root, wherry.run), Listener("127.0.0.1", port, 0)).stop()
    shutil.rmtree(f"{wherry.root}/balancer")


@pytest.fixture
def commands(wherry, balanced, tmp_path):
    """A directory with no project yet; all that was made is gone afterwards."""
    made = Commands(wherry, tmp_path, balanced)
    yield made
    made.remove()
