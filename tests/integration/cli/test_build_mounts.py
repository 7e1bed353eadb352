"""`RUN --mount`: what a step sees, and what is left of it afterwards."""

import json
import os
import subprocess

import pytest


def run(wherry, tag, script):
    return wherry("run", "--rm", tag, "sh", "-c", script).out


def files_with(root, needle):
    """Files below `root` that hold the bytes, as grep finds them."""
    done = subprocess.run(["grep", "-rlaF", needle, root], capture_output=True, text=True, check=False)
    return done.stdout.split()


def test_a_cache_outlives_builds_and_is_in_no_image(wherry, built, context):
    dockerfile = "FROM tiny\nARG N\nRUN --mount=type=cache,target=/c/x echo $N >> /c/x/log && cat /c/x/log > /out\n"
    directory = context(dockerfile)
    built(directory, "--build-arg", "N=one")
    tag = built(directory, "--build-arg", "N=two")
    assert run(wherry, tag, "cat /out; ls / | grep -c ^c$; true") == "one\ntwo\n0\n"
    line = next(
        json.loads(one) for one in wherry("system", "df", "--format", "json").out.splitlines() if "Cache" in one
    )
    assert line["Size"] != "0B"
    assert "Deleted build cache objects" in wherry("builder", "prune", "-f").out
    tag = built(directory, "--build-arg", "N=three")
    assert run(wherry, tag, "cat /out") == "three\n"


def test_a_cache_begins_as_its_mount_says(wherry, built, context):
    dockerfile = """
    FROM tiny AS seed
    RUN mkdir -p /s/in && echo seed > /s/in/f
    FROM tiny
    RUN --mount=type=cache,target=/c,id=fresh,uid=5,gid=6,mode=0711 stat -c '%u %g %a' /c > /one
    RUN --mount=type=cache,target=/c,from=seed,source=/s cat /c/in/f > /two
    """.replace("\n    ", "\n")
    assert run(wherry, built(context(dockerfile)), "cat /one /two") == "5 6 711\nseed\n"


def test_a_secret_reaches_the_step_and_nothing_else(wherry, built, context, tmp_path):
    (tmp_path / "secret").write_text("s3cr3t-value-of-the-test")
    dockerfile = """
    FROM tiny
    RUN --mount=type=secret,id=one stat -c '%a %u' /run/secrets/one > /a && wc -c < /run/secrets/one >> /a
    RUN --mount=type=secret,id=one,env=TOKEN test "${#TOKEN}" = 24
    RUN --mount=type=secret,id=none test ! -e /run/secrets/none
    """.replace("\n    ", "\n")
    directory = context(dockerfile)
    tag = built(directory, "--secret", f"id=one,src={tmp_path}/secret")
    assert run(wherry, tag, "cat /a; ls /run 2>/dev/null | wc -l").split() == ["400", "0", "24", "0"]
    assert not files_with(wherry.root, "s3cr3t-value-of-the-test")
    assert not files_with(wherry.run, "s3cr3t-value-of-the-test")
    (tmp_path / "secret").write_text("another")
    assert wherry("build", "--secret", f"id=one,src={tmp_path}/secret", directory).err.count("CACHED") == 3


def test_a_secret_is_in_memory_only_while_the_step_runs(wherry, context, tmp_path):
    (tmp_path / "secret").write_text("s3cr3t-while-running")
    shown = "grep -E '/run/secrets/one|/c ' /proc/self/mounts"
    mounts = "--mount=type=secret,id=one --mount=type=secret,id=one,env=T"
    dockerfile = f"FROM tiny\nRUN {mounts} {shown}; echo ready; while test ! -e /proc/1/nothing; do sleep 1; done\n"
    arguments = ["build", "--progress", "plain", "--secret", f"id=one,src={tmp_path}/secret", context(dockerfile)]
    building = wherry.start(*arguments, stderr=subprocess.PIPE, text=True)
    try:
        lines = []
        for line in building.stderr:
            lines.append(line)
            if line.split()[-1] == "ready":
                break
        assert any("tmpfs" in line and "/run/secrets/one" in line for line in lines), lines
        on_disk = subprocess.run(
            ["grep", "-rlaF", "--exclude-dir=secrets", "s3cr3t-while-running", wherry.root, wherry.run],
            capture_output=True,
            text=True,
            check=False,
        )
        assert not on_disk.stdout
    finally:
        building.kill()
        building.wait()
        building.stderr.close()
    wherry("images")  # repairs


def test_a_required_secret_that_is_missing_is_told(wherry, context):
    dockerfile = "FROM tiny\nRUN --mount=type=secret,id=nope,required cat /run/secrets/nope\n"
    done = wherry("build", context(dockerfile), check=False)
    assert "secret nope: not found" in done.err
    assert "--secret id=nope" in done.err


def test_bind_mounts_show_what_the_build_may_see(wherry, built, context):
    dockerfile = """
    FROM tiny AS other
    RUN mkdir /o && echo other > /o/f
    FROM tiny
    WORKDIR /w
    RUN --mount=target=/src ls /src > /one && stat -c %u /src/file >> /one; touch /src/x 2>/dev/null || echo ro >> /one
    RUN --mount=target=in,source=dir,rw echo changed > in/f && cat in/f > /two
    RUN --mount=from=other,source=/o,target=/o,rw echo more >> /o/f && cat /o/f > /three
    RUN --mount=from=other,source=o/f,target=/file cat /file > /four
    RUN --mount=type=tmpfs,target=/t,size=1m  grep ' /t ' /proc/self/mounts > /five
    """.replace("\n    ", "\n")
    directory = context(dockerfile, file="F", dir__f="D", ignored="I")
    with open(f"{directory}/.dockerignore", "w") as ignore:
        ignore.write("ignored\n")
    os.chown(f"{directory}/file", 1234, 1234)
    tag = built(directory)
    assert run(wherry, tag, "cat /one").split() == [".dockerignore", "Dockerfile", "dir", "file", "0", "ro"][1:]
    assert run(wherry, tag, "cat /two /three /four; ls / /w").startswith("changed\nother\nmore\nother\n")
    assert "size=1024k" in run(wherry, tag, "cat /five")
    assert run(wherry, tag, "ls -d /src /t /o /file /w/in 2>/dev/null; true") == ""
    with open(f"{directory}/dir/f", "w") as file:
        file.write("changed outside")
    assert "#" in wherry("build", "--progress", "plain", directory).err


def test_a_changed_bind_source_misses_the_cache_and_an_unchanged_one_hits(wherry, context):
    directory = context("FROM tiny\nRUN --mount=target=/src,source=dir cat /src/f > /out\n", dir__f="1", other="x")
    arguments = ["build", "--progress", "plain", directory]
    assert wherry(*arguments).err.count("CACHED") == 0
    with open(f"{directory}/other", "w") as file:
        file.write("changed")
    assert wherry(*arguments).err.count("CACHED") == 1
    with open(f"{directory}/dir/f", "w") as file:
        file.write("2")
    assert wherry(*arguments).err.count("CACHED") == 0


@pytest.mark.parametrize(
    "script", ["rm -rf /m && ln -s {victim} /m", "mkdir -p /m/deep && rm -rf /m/deep && ln -s {victim} /m/deep"]
)
def test_what_a_step_puts_in_the_way_of_its_mount_points_is_not_followed(wherry, context, tmp_path, script):
    """CVE-2024-23652: the clean-up of a mount point must not delete a file of the host."""
    victim = tmp_path / "victim"
    (victim / "deep").mkdir(parents=True)
    (victim / "hosts").touch()
    (victim / "x").touch()
    lines = [
        "FROM tiny",
        "RUN rm -rf /etc/hosts /etc/resolv.conf",
        f"RUN --mount=type=tmpfs,target=/m/deep/x true; {script.format(victim=victim)}; true",
        f"RUN mv /etc /etc2; ln -s {victim} /etc; true",
    ]
    wherry("build", context("\n".join(lines) + "\n"), check=False)
    assert sorted(one.name for one in victim.iterdir()) == ["deep", "hosts", "x"]


def test_links_in_sources_do_not_lead_out(wherry, context, tmp_path):
    """CVE-2024-23651 and its like: a link in an image, or in a cache, as the source of a mount."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").write_text("of the host")
    lines = [
        "FROM tiny AS a",
        f"RUN ln -s {tmp_path}/secret /way",
        "FROM tiny",
        "RUN --mount=from=a,source=/way,target=/x cat /x/file",
    ]
    done = wherry("build", context("\n".join(lines) + "\n"), check=False)
    assert "of the host" not in done.err
    assert "not found" in done.err
    lines = [
        "FROM tiny",
        f"RUN --mount=type=cache,target=/c,id=ways ln -sfn {tmp_path}/secret /c/way",
        "RUN --mount=type=cache,target=/x,id=ways,source=way cat /x/file",
    ]
    done = wherry("build", context("\n".join(lines) + "\n"), check=False)
    assert "of the host" not in done.err
    assert "not there" in done.err


def test_a_step_that_only_mounts_makes_an_empty_layer(wherry, built, context):
    """Directories that held a mount point keep their times: the layer after it does not mention them."""
    dockerfile = "FROM tiny\nRUN mkdir -p /a/b && touch -d @1000000 /a/b\nRUN --mount=type=tmpfs,target=/a/b/c/d true\n"
    tag = built(context(dockerfile))
    assert run(wherry, tag, "stat -c %Y /a/b; ls /a/b") == "1000000\n"
    assert wherry("history", "--format", "{{.Size}}", tag).out.splitlines()[0] in ("0B", "1.02kB", "1.02KB", "1.024kB")


def test_locked_caches_wait_and_private_ones_are_copies(wherry, context, tmp_path):
    """Two stages at once: with `locked` the second sees what the first wrote, with `private` it does not."""
    step = "echo {n} >> /c/log; sleep 0.3; cat /c/log | wc -l > /out{n}"
    lines = []
    for number in (1, 2):
        mount = "--mount=type=cache,id=l,target=/c,sharing=locked"
        lines += [f"FROM tiny AS s{number}", f"RUN {mount} {step.format(n=number)}"]
    lines += ["FROM tiny", "COPY --from=s1 /out1 /", "COPY --from=s2 /out2 /", "RUN cat /out1 /out2"]
    done = wherry("build", "--progress", "plain", context("\n".join(lines) + "\n"))
    counts = sorted(
        line.split()[-1] for line in done.err.splitlines() if line.split()[-1] in ("1", "2") and "#" in line
    )
    assert counts[-2:] == ["1", "2"]


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ("type=nope,target=/x", 'unsupported mount type "nope"'),
        ("type=cache", "needs a target"),
        ("type=cache,target=/", 'invalid mount target "/"'),
        ("type=bind,target=/x,source=missing", "not found"),
        ("type=bind,target=/x,nonsense=1", "unexpected key 'nonsense'"),
        ("type=ssh", "type=ssh is not supported"),
        ("type=cache,target=/x,sharing=maybe", 'unsupported sharing value "maybe"'),
        ("type=bind,target=/x,from=$X", "doesn't support variable expansion"),
    ],
)
def test_mistakes_in_mounts_are_told(wherry, context, mount, words):
    done = wherry("build", context(f"FROM tiny\nRUN --mount={mount} true\n"), check=False)
    assert done.returncode == 1
    assert words in done.err
