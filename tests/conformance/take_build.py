"""Take what is expected of `build/*` from a real Docker again. Usage: take_build.py [--write] [NAME...]

Needs `/usr/bin/docker`, a daemon (DOCKER_HOST) and Debian's busybox-static. Says what differs from what is stored; with
`--write`, stores it. Cases written from the documentation are left alone.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile

from conformance.build_cases import Case, cases, describe, make_base, with_busybox

DOCKER = "/usr/bin/docker"


def docker(*arguments, builder="buildkit", check=True):
    environment = {**os.environ, "DOCKER_BUILDKIT": "0" if builder == "classic" else "1"}
    done = subprocess.run(
        [DOCKER, *arguments], capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL
    )
    if check and done.returncode:
        sys.exit(f"docker {' '.join(arguments)}: {done.stderr}")
    return done


def take(case, base_layers):
    """What Docker gives for the case now."""
    with tempfile.TemporaryDirectory() as directory:
        context = case.context(f"{directory}/context")
        progress = ["--progress", "plain"] if case.builder == "buildkit" else []
        arguments = [
            "build",
            "--network",
            "host",
            "--no-cache",
            *progress,
            "-t",
            "taken",
            *case.arguments,
            str(context),
        ]
        done = docker(*arguments, builder=case.builder, check=False)
        if done.returncode:
            lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            return {"error": case.says if case.says and case.says in lines[-1] else lines[-1]}
        docker("save", "-o", f"{directory}/image.tar", "taken")
        docker("rmi", "-f", "taken")
        return read(f"{directory}/image.tar", base_layers)


def read(path, base_layers):
    with tarfile.open(path) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]
        config = json.load(archive.extractfile(manifest["Config"]))["config"]
        return describe(config, [archive.extractfile(name) for name in manifest["Layers"][base_layers:]])


def is_from_base(case):
    return not any(line.startswith("# no base") for line in (case.directory / "Dockerfile").read_text().splitlines())


def main(arguments):
    write = "--write" in arguments
    names = [name for name in arguments if name != "--write"]
    with tempfile.TemporaryDirectory() as directory:
        make_base(f"{directory}/base", with_busybox)
        docker("build", "-q", "-t", "base", f"{directory}/base")
    differing = 0
    for case in [Case(name) for name in names] or cases():
        if case.builder == "documentation":
            continue
        taken = take(case, 1 if is_from_base(case) else 0)
        path = case.directory / "expected.json"
        if taken.get("error", case.says) != case.says:
            print(f"{case.name}: Docker does not say {case.says!r}: {taken.get('error')}")
        if (
            not path.exists()
            or ("error" in taken) != ("error" in case.expected)
            or ("error" not in taken and taken != case.expected)
        ):
            differing += 1
            print(f"{case.name}: {'written' if write else 'differs'}")
            if write:
                path.write_text(json.dumps(taken, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return 0 if write else min(differing, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
