"""Docker and Wherry on the same command line: what each printed and returned, and how the two differ.

A case file holds scenes: `[name]`, then one command line each line, in order. `-` before a line: only prepares, is not
compared. `=` before it: standard output is compared to the byte, column widths included; `~`: without regard to the
order of its lines, where Docker promises none; `!`: of help, whose words are each tool's own, the exit code and where
it is printed are compared. After ` >>> ` comes text given as standard input. A comment `# wanted: reason` above a line
marks a difference that docs/differences.md explains. `%work%` is the directory that the lines are run in.

A scene with a line `@ PATH` is of a Compose project: the lines indented below it are the file's text. Of its commands
the exit code and the project's state afterwards are compared (see `projectstate`), standard output only after `=`, and
after ` ?? ` whether one of the words (between ` | `) was said. `order SERVICE...` compares who was started before whom.
`shop?web?1` is a container as each side names it.
"""

import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys

from installation import Installation, eventually

BRIDGE = "wsbside0"
_SUBNET = "10.213.76.1/24"


class Case:
    """One command line of a scene."""

    def __init__(self, line, wanted, where):
        self.where, self.wanted = where, wanted
        mark = line[0] if line[:2] in ("- ", "= ", "~ ", "! ") else ""
        self.is_compared, self.is_exact = mark != "-", mark == "="
        self.is_ordered, self.is_help = mark != "~", mark == "!"
        line, _, said = line.removeprefix(f"{mark} ").partition(" ?? ")
        self.said = said.split(" | ") if said else []
        line, _, stdin = line.partition(" >>> ")
        self.words, self.stdin = shlex.split(line), stdin.encode().decode("unicode_escape").encode()
        self.line = line


class Edit:
    """A file of a project, written before the cases after it."""

    def __init__(self, path):
        self.path, self.text = path, HEAD if path.endswith("compose.yaml") else ""


HEAD = "x-s: &s {image: tiny, stop_grace_period: 0s, command: sleep 1000}\n"


def read_scenes(path):
    """{name: [Case or Edit]}."""
    scenes, wanted, name = {}, "", ""
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        if line.startswith("    "):
            scenes[name][-1].text += line[4:]
            continue
        line = line.strip()
        if line.startswith("# wanted:"):
            wanted = line.removeprefix("# wanted:").strip()
        elif line.startswith("@ "):
            scenes[name].append(Edit(line.removeprefix("@ ")))
        elif line.startswith("[") and line.endswith("]"):
            name = line[1:-1]
            scenes[name] = []
        elif line and not line.startswith("#"):
            scenes[name].append(Case(line, wanted, f"{os.path.basename(path)}:{number}"))
            wanted = ""
    return scenes


VERSION = "20.10."
"""What docs/differences.md speaks of; `docker` on the PATH may be another."""


class Docker:
    """A Docker daemon with its own data, sockets and bridge; leaves the machine's packet filter alone."""

    def __init__(self, directory):
        for program in ("dockerd", "/usr/bin/docker"):
            said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
            assert f"version {VERSION}" in said, f"{program} is {said}"
        self.directory = directory
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{directory}/docker.sock", "DOCKER_BUILDKIT": "0",
                            "HOME": str(directory), "DOCKER_CONFIG": f"{directory}/config"}  # fmt: skip
        self.environment.pop("DOCKER_CONTEXT", None)
        self._ip("link", "add", BRIDGE, "type", "bridge")
        self._ip("addr", "add", _SUBNET, "dev", BRIDGE)
        self._ip("link", "set", BRIDGE, "up")
        self._log = open(f"{directory}/log", "wb")
        options = ["--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec", "-p", f"{directory}/pid"]
        options += ["-H", self.environment["DOCKER_HOST"], "--bridge", BRIDGE, "--iptables=false", "--ip-forward=false"]
        self._daemon = subprocess.Popen(["dockerd", *options], stdout=self._log, stderr=self._log)
        eventually(lambda: self("version").returncode == 0, 60)

    def _ip(self, *arguments):
        subprocess.run(["ip", *arguments], check=False, capture_output=True)

    name = "docker"

    def own(self, text):
        """The words of a scene for this side."""
        return re.sub(r"\b(\w+)\?(\w+)\?(\d+)\b", r"\1_\2_\3", text)

    def argv(self, *arguments):
        if arguments[:1] == ("compose",):
            return ["/usr/bin/docker-compose", *arguments[1:]]
        return ["/usr/bin/docker", *map(self.own, arguments)]

    def __call__(self, *arguments, stdin=b"", cwd=None, timeout=60):
        return subprocess.run(self.argv(*arguments), env=self.environment, input=stdin, capture_output=True,
                              check=False, cwd=cwd, timeout=timeout)  # fmt: skip

    def destroy(self):
        for identifier in self("ps", "-aq").stdout.decode().split():
            self("rm", "-f", "-v", identifier)
        self._daemon.terminate()
        self._daemon.wait(30)
        self._log.close()
        self._ip("link", "del", BRIDGE)
        namespace = f"{self.directory}/exec/netns/default"  # which the daemon leaves mounted
        subprocess.run(["umount", "-l", namespace], check=False, capture_output=True)
        shutil.rmtree(self.directory, ignore_errors=True)


class Wherry(Installation):
    """The other side, with the same call."""

    name = "wherry"

    def own(self, text):
        """The words of a scene for this side, with ports of its own."""
        text = re.sub(r"\b(\w+)\?(\w+)\?(\d+)\b", r"\1-\2-\3", text)
        return re.sub(r"\b18([789]\d\d)\b", r"19\1", text)

    def argv(self, *arguments):
        return [sys.executable, "-I", "-m", "wherry", *arguments]

    def __call__(self, *arguments, stdin=b"", cwd=None, timeout=60, check=False):
        arguments = [self.own(word) for word in arguments]
        return super().__call__(*arguments, check=check, stdin=stdin, cwd=cwd, timeout=timeout)


_WORDS = [
    (r"\b1[89]([789]\d\d)\b", r"18\1"),
    (r"[Ww]herry", "docker"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?(Z|[+-]\d\d:?\d\d)( UTC)?)?", "TIME"),
    (r"sha256:[0-9a-f]{64}", "DIGEST"),
    (r"\b[0-9a-f]{64}\b", "ID64"),
    (r"\b[0-9a-f]{12}\b", "ID12"),
    (r"(Less than a second|About a minute|About an hour|\d+ \w+) ago", "AGO"),
    (r"Up (Less than a second|About a minute|\d+ \w+)", "Up SPAN"),
    (r"\b\d+(\.\d+)?(B|kB|MB|GB)\b", "SIZE"),
    (r"\b10\.\d+\.\d+\.\d+", "ADDRESS"),
    (r"\b02:42(:[0-9a-f]{2}){4}\b", "MAC"),
    (r"(0\.0\.0\.0:|127\.0\.0\.1:)(3[2-9]|[456]\d)\d{3}\b", r"\1PORT"),
    (r'("HostPort":")(3[2-9]|[456]\d)\d{3}"', r'\1PORT"'),
]


def normalise(text, *, exact):
    """Without what differs between any two runs, and without Docker's IPv6 ports (see docs/differences.md)."""
    text = re.sub(r"(?m)^(\d+/\w+ -> )?:::\d+\n|, :::[\d-]+->[\d-]+/\w+", "", text)
    for pattern, word in _WORDS:
        text = re.sub(pattern, word, text)
    return text if exact else re.sub(r" {2,}", "  ", text)


_PREFIX = re.compile(r"^(docker|Error response from daemon|Error|wherry|Template parsing error): ")


_CHATTER = ('time="', "See '", "Usage:", "Run '", "Sending build context", "Step ", "---> ")


def words_of(stderr):
    """The words of the message's first lines, without prefixes and hints, in lower case."""
    text = normalise(stderr, exact=False)
    text = "\n".join(line for line in text.splitlines() if not line.strip().startswith(_CHATTER))
    while (shorter := _PREFIX.sub("", text)) != text:
        text = shorter
    return re.findall(r"[a-z0-9_./-]+", text.split("\n\n")[0].lower())


def differences_of_compose(case, docker, wherry):
    """What two programs of different ages can have in common: the exit code, and what they were asked to say."""
    found = []
    if docker.returncode != wherry.returncode:
        found += [f"exit code: docker {docker.returncode}, wherry {wherry.returncode}"]
        found += [f"docker says: {docker.stderr.decode()[-400:]}", f"wherry says: {wherry.stderr.decode()[-400:]}"]
    said = [any(word in (done.stdout + done.stderr).decode().lower() for word in case.said)
            for done in (docker, wherry)]  # fmt: skip
    if said[0] != said[1]:
        found.append(f"says {' or '.join(case.said)}: docker {said[0]}, wherry {said[1]}")
    outputs = [normalise(done.stdout.decode(errors="replace"), exact=True) for done in (docker, wherry)]
    if case.is_exact and outputs[0] != outputs[1]:
        found += difflib.unified_diff(*(text.splitlines() for text in outputs), "docker", "wherry", lineterm="", n=0)
    return found


def differences(case, docker, wherry):
    """What differs, as lines for people; empty where nothing does."""
    if case.words[0] == "compose":
        return differences_of_compose(case, docker, wherry)
    found = []
    if docker.returncode != wherry.returncode:
        found.append(f"exit code: docker {docker.returncode}, wherry {wherry.returncode}")
    if case.is_help:
        streams = [tuple(map(bool, (done.stdout, done.stderr))) for done in (docker, wherry)]
        return found + ([f"prints to (stdout, stderr): {streams}"] if streams[0] != streams[1] else [])
    outputs = [normalise(done.stdout.decode(errors="replace"), exact=case.is_exact) for done in (docker, wherry)]
    if outputs[0] != outputs[1]:
        lines = [text.splitlines() if case.is_ordered else sorted(text.splitlines()) for text in outputs]
        found += difflib.unified_diff(*lines, "docker", "wherry", lineterm="", n=0)
    said, ours = (done.stderr.decode(errors="replace") for done in (docker, wherry))
    theirs, mine = words_of(said), set(words_of(ours))
    if bool(said.strip()) != bool(ours.strip()) or (
        docker.returncode and theirs and sum(word in mine for word in theirs) < 0.5 * len(theirs)
    ):
        found += [f"docker says: {said.strip()}", f"wherry says: {ours.strip()}"]
    return found
