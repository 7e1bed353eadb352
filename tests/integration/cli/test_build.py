"""`build`, as a user of Docker would try it."""

import json
import os

import pytest


def run(wherry, tag, script):
    return wherry("run", "--rm", tag, "sh", "-c", script).out


def test_the_configuration_is_dockers(wherry, built, context):
    dockerfile = """
    FROM tiny
    ARG WHO=world
    ENV GREETING="hello $WHO" EMPTY=
    LABEL one=1 two="a b"
    EXPOSE 80 53/udp
    WORKDIR /srv
    WORKDIR app
    USER ana
    VOLUME /data
    STOPSIGNAL SIGINT
    HEALTHCHECK --interval=5s --retries=2 CMD true
    ENTRYPOINT ["echo"]
    CMD ["x"]
    """.replace("\n    ", "\n")
    tag = built(context(dockerfile), "--build-arg", "WHO=you")
    config = json.loads(wherry("image", "inspect", tag).out)[0]["Config"]
    assert "GREETING=hello you" in config["Env"]
    assert "EMPTY=" in config["Env"]
    assert config["Labels"] == {"one": "1", "two": "a b"}
    assert set(config["ExposedPorts"]) == {"80/tcp", "53/udp"}
    assert config["WorkingDir"] == "/srv/app"
    assert config["User"] == "ana"
    assert config["Volumes"] == {"/data": {}}
    assert config["StopSignal"] == "SIGINT"
    assert (config["Entrypoint"], config["Cmd"]) == (["echo"], ["x"])
    assert wherry("run", "--rm", tag).out == "x\n"


def test_every_image_has_a_path_that_can_be_added_to(wherry, built, context):
    tag = built(context("FROM scratch\nENV PATH=/mine:$PATH\n"))
    config = json.loads(wherry("image", "inspect", tag).out)[0]["Config"]
    assert config["Env"] == ["PATH=/mine:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]


def test_run_changes_become_a_layer(wherry, built, context):
    first = "RUN mkdir /d && echo 1 > /d/one && echo 2 > /d/two"
    dockerfile = f"FROM tiny\n{first}\nRUN rm /d/one && chmod 700 /d && ln -s two /d/link\n"
    tag = built(context(dockerfile))
    assert run(wherry, tag, "ls /d; stat -c %a /d; cat /d/link") == "link\ntwo\n700\n2\n"


def test_a_directory_that_is_removed_and_made_again_is_opaque(wherry, built, context):
    tag = built(context("FROM tiny\nRUN mkdir /d && touch /d/old\nRUN rm -r /d && mkdir /d && touch /d/new\n"))
    assert run(wherry, tag, "ls /d") == "new\n"


def test_steps_leave_no_mount_points_and_no_certificates(wherry, built, context, tmp_path):
    (tmp_path / "ca.pem").write_text("certificates")
    dockerfile = "FROM tiny\nRUN cat $SSL_CERT_FILE && echo $PIP_CERT > /seen && id > /other\n"
    tag = built(context(dockerfile), "--ca-bundle", str(tmp_path / "ca.pem"))
    config = json.loads(wherry("image", "inspect", tag).out)[0]["Config"]
    assert not any("CERT" in entry for entry in config["Env"])
    assert "ca.pem" not in wherry("history", "--no-trunc", tag).out
    files = run(wherry, tag, "cat /seen; ls /run 2>/dev/null; test -s /etc/resolv.conf || echo empty")
    assert "wherry" not in files.replace("/run/wherry-ca.crt", "", 1)
    wherry("build", "--ca-bundle", "none", "-t", "again", context(dockerfile.replace("cat $SSL_CERT_FILE && ", "")))
    wherry("rmi", "again")


def test_copy_rules(wherry, built, context):
    dockerfile = """
    FROM tiny
    COPY file /a/b/renamed
    COPY dir /a/dir
    COPY dir /a/dir/
    COPY file dir/inner /many/
    COPY --chown=1000:1001 --chmod=640 file /owned
    COPY fi?e /wild/
    COPY ["file", "/with space"]
    WORKDIR /w
    COPY file .
    COPY . /all
    """.replace("\n    ", "\n")
    directory = context(dockerfile, file="F", dir__inner="I", dir__deep__er="E")
    with open(f"{directory}/.dockerignore", "w") as ignore:
        ignore.write("# comment\n*.log\n!keep.log\ndir/deep\n")
    for name in ("drop.log", "keep.log"):
        with open(f"{directory}/{name}", "w") as file:
            file.write(name)
    os.symlink("file", f"{directory}/link")
    tag = built(directory)
    script = "cat /a/b/renamed /a/dir/inner /many/file /many/inner /wild/file '/with space' /w/file; echo; ls /all"
    assert run(wherry, tag, script).split("\n") == ["FIFIFFF", "Dockerfile", "dir", "file", "keep.log", "link", ""]
    assert (
        run(wherry, tag, "stat -c '%u %g %a' /owned; readlink /all/link; ls /all/dir") == "1000 1001 640\nfile\ninner\n"
    )


def test_copy_from_a_stage_keeps_owners(wherry, built, context):
    dockerfile = """
    FROM tiny AS Base
    RUN mkdir -p /out/sub && echo made > /out/sub/file && chown -R 1000:1001 /out
    FROM tiny
    COPY --from=base /out/ /got/
    COPY --from=0 /out/sub/file /
    """.replace("\n    ", "\n")
    assert run(wherry, built(context(dockerfile)), "cat /got/sub/file /file; stat -c '%u:%g' /got/sub/file") == (
        "made\nmade\n1000:1001\n"
    )


def test_only_the_stages_that_the_target_needs_are_built(wherry, built, context):
    dockerfile = "FROM tiny AS a\nRUN echo a > /a\nFROM tiny AS broken\nRUN exit 1\nFROM a AS c\nRUN cat /a\n"
    directory = context(dockerfile)
    assert run(wherry, built(directory, "--target", "a"), "cat /a") == "a\n"
    assert run(wherry, built(directory), "cat /a") == "a\n"
    assert 'target stage "x" could not be found' in wherry("build", "--target", "x", directory, check=False).err


def test_links_in_the_image_are_followed_inside_it(wherry, built, context):
    links = "RUN mkdir /real && ln -s /real /link && ln -s ../../.. /up"
    dockerfile = f"FROM tiny\n{links}\nCOPY dir /link/\nCOPY file /up/etc/here\n"
    tag = built(context(dockerfile, dir__x="X", file="F"))
    assert run(wherry, tag, "cat /real/x /etc/here; readlink /link") == "XF/real\n"


def test_links_in_the_context_do_not_lead_out_of_it(wherry, context, tmp_path):
    (tmp_path / "secret").write_text("secret")
    directory = context("FROM tiny\nCOPY way /x\n")
    os.symlink("../secret", f"{directory}/way")
    done = wherry("build", directory, check=False)
    assert done.returncode == 1
    assert "not found" in done.err


def test_an_unchanged_build_comes_from_the_cache_and_a_changed_file_does_not(wherry, built, context):
    directory = context("FROM tiny\nCOPY file /file\nRUN echo run > /ran\n", file="one")
    built(directory)
    again = wherry("build", "--progress", "plain", directory).err
    assert again.count("CACHED") == 2
    os.utime(f"{directory}/file", (1, 1))
    assert wherry("build", "--progress", "plain", directory).err.count("CACHED") == 2
    with open(f"{directory}/file", "w") as file:
        file.write("two")
    assert wherry("build", "--progress", "plain", directory).err.count("CACHED") == 0
    assert wherry("build", "--progress", "plain", "--no-cache", directory).err.count("CACHED") == 0


def test_a_failing_step_shows_its_output_its_line_and_its_code(wherry, context):
    done = wherry(
        "build", "--progress", "plain", context("FROM tiny\n\nRUN echo about to fail; exit 42\n"), check=False
    )
    assert done.returncode == 42
    assert "about to fail" in done.err
    assert "exit code: 42" in done.err
    assert "line 3" in done.err


def test_the_same_sources_give_the_same_image(wherry, context):
    directory = context("FROM tiny\nCOPY . /x\nRUN echo hi > /y\n", a="1", b="2")
    arguments = ["build", "-q", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1700000000", directory]
    assert wherry(*arguments).out == wherry(*arguments).out


def test_add_unpacks_archives_and_copy_does_not(wherry, built, context):
    import tarfile

    directory = context("FROM tiny\nADD data.tar.gz /in/\nCOPY data.tar.gz /kept\n", inner="I")
    with tarfile.open(f"{directory}/data.tar.gz", "w:gz") as archive:
        archive.add(f"{directory}/inner", "folder/inner")
    assert run(wherry, built(directory), "cat /in/folder/inner; test -s /kept && echo kept") == "Ikept\n"


def test_heredocs(wherry, built, context):
    dockerfile = """
    FROM tiny
    ARG WHO=you
    RUN <<EOF
    echo one > /made
    echo two >> /made
    EOF
    COPY <<a.txt <<"b.txt" /texts/
    hello $WHO
    a.txt
    hello $WHO
    b.txt
    """.replace("\n    ", "\n")
    assert run(wherry, built(context(dockerfile)), "cat /made /texts/a.txt /texts/b.txt") == (
        "one\ntwo\nhello you\nhello $WHO\n"
    )


def test_onbuild_runs_in_the_child_and_is_spent(wherry, built, context):
    wherry("build", "-q", "-t", "parent", context("FROM tiny\nONBUILD RUN echo triggered > /t\n"))
    tag = built(context("FROM parent\nRUN cat /t\n"))
    assert json.loads(wherry("image", "inspect", tag).out)[0]["Config"]["OnBuild"] is None
    wherry("rmi", "-f", "parent")


def test_a_base_that_cannot_be_fetched_says_what_to_do(wherry, context):
    done = wherry("build", context("FROM 127.0.0.1:1/no/image:1\n"), check=False)
    assert done.returncode == 1
    assert "cannot reach 127.0.0.1:1" in done.err
    assert "--base-fallback distro" in done.err


def test_build_contexts_replace_bases_and_sources(wherry, built, context, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/f").write_text("other")
    directory = context("FROM not-there:1\nCOPY --from=files f /f\n")
    arguments = ["--build-context", "not-there:1=docker-image://tiny", "--build-context", f"files={tmp_path}/other"]
    assert run(wherry, built(directory, *arguments), "cat /f") == "other"


def test_what_is_not_supported_is_refused_with_its_line(wherry, context):
    done = wherry("build", context("FROM tiny\nRUN --security=insecure true\n"), check=False)
    assert "line 2: RUN --security=insecure is not supported" in done.err
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        ("FORM tiny\n", "unknown instruction: FORM"),
        ("RUN true\n", "no build stage in current context"),
        ("", "cannot be empty"),
        ("FROM tiny\nCOPY x\n", "requires at least two arguments"),
        ("FROM tiny\nCOPY no-such-file /x\n", "not found"),
        ("FROM tiny\nCOPY a b /x\n", "must be a directory and end with a /"),
        ("FROM tiny\nRUN --nope true\n", "unknown flag: --nope"),
    ],
)
def test_mistakes_are_told(wherry, context, dockerfile, words):
    done = wherry("build", context(dockerfile, a="1", b="2"), check=False)
    assert done.returncode != 0
    assert words in done.err


def test_images_are_listed_tagged_and_removed(wherry, built, context):
    tag = built(context("FROM tiny\nLABEL x=y\n"))
    wherry("tag", tag, "other/name:1")
    assert wherry("images", "--format", "{{.Repository}}:{{.Tag}}", "other/name").out == "other/name:1\n"
    assert wherry("rmi", "other/name:1").out == "Untagged: other/name:1\n"
    assert "No such image" in wherry("rmi", "other/name:1", check=False).err
    assert "Deleted: sha256:" in wherry("rmi", tag).out


def test_an_image_that_is_used_is_not_removed(wherry, built, context, name):
    tag = built(context("FROM tiny\nLABEL z=y\n"))
    wherry("create", "--name", name, tag)
    assert "is using its referenced image" in wherry("rmi", tag, check=False).err
    wherry("rm", name)


def test_the_content_is_an_oci_layout(wherry):
    with open(f"{wherry.root}/content/oci-layout") as file:
        assert json.load(file) == {"imageLayoutVersion": "1.0.0"}
    with open(f"{wherry.root}/content/index.json") as file:
        names = [one["annotations"]["org.opencontainers.image.ref.name"] for one in json.load(file)["manifests"]]
    assert "docker.io/library/tiny:latest" in names


def test_a_build_from_the_cache_is_the_same_image_and_leaves_none_behind(wherry, built, context):
    directory = context("FROM tiny\nCOPY file /file\nENV A=b\nRUN true\n", file="one")
    tag = built(directory)
    first = wherry("image", "inspect", "-f", "{{.Id}}", tag).out
    built(directory)
    assert wherry("image", "inspect", "-f", "{{.Id}}", tag).out == first


def test_hard_links_follow_what_is_written_last(wherry, built, context):
    directory = context("FROM tiny\nCOPY x y /d/\n", x__f="one", y__f="two")
    os.link(f"{directory}/x/f", f"{directory}/y/g")
    assert run(wherry, built(directory), "cat /d/f; echo; cat /d/g") == "two\none"


def test_names_of_whiteouts_are_refused(wherry, context):
    done = wherry("build", context("FROM tiny\nCOPY . /d/\n", **{".wh.victim": "x"}), check=False)
    assert done.returncode == 1
    assert "names that begin with .wh." in done.err
