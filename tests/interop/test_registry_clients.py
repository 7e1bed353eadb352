"""Foreign clients use our registry: log in, push, pull, delete, find what is attached to an image."""

import io
import json
import os
import shutil
import subprocess
import tarfile
import time

import pytest

from registry_server import MANIFEST, basic, digest_of, manifest_of

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def needs(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@pytest.fixture
def registry(registry_server):
    registry_server.start()
    registry_server.verb("user", "add", "ana", "--password-stdin", "--grant", "**=admin", stdin="secret")
    return registry_server


@pytest.fixture
def archive(tmp_path):
    """A root file system as a tar."""
    path = tmp_path / "rootfs.tar"
    with tarfile.open(path, "w") as file:
        for name, data in (("etc/motd", b"hello\n"), ("data", os.urandom(2_000_000))):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    return str(path)


@pytest.fixture
def run(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path), "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
    environment["DOCKER_CONFIG"] = str(tmp_path / "docker")

    def call(*argv, check=True, stdin="", **more):
        done = subprocess.run(
            argv, env={**environment, **more}, input=stdin, capture_output=True, text=True, check=False, timeout=120
        )
        assert not check or done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done

    return call


def layout(tmp_path, archive):
    """An OCI layout that holds an image of the archive."""
    directory = tmp_path / "layout"
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)
    with open(archive, "rb") as file:
        layer = file.read()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
        }
    ).encode()
    manifest = manifest_of(config, [layer])
    for data in (layer, config, manifest):
        (blobs / digest_of(data).partition(":")[2]).write_bytes(data)
    entry = {"mediaType": MANIFEST, "digest": digest_of(manifest), "size": len(manifest)}
    entry["annotations"] = {"org.opencontainers.image.ref.name": "x"}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return f"oci:{directory}:x"


@needs("skopeo")
def test_skopeo(registry, run, tmp_path, archive):
    source, name = layout(tmp_path, archive), f"docker://{registry.address}/team/app"
    denied = run("skopeo", "copy", "--dest-tls-verify=false", source, f"{name}:1", check=False)
    assert denied.returncode != 0
    run("skopeo", "login", "--tls-verify=false", "-u", "ana", "--password-stdin", registry.address, stdin="secret")
    for tag, options in (("1", ()), ("2", ("--dest-compress-format", "zstd")), ("v2", ("--format", "v2s2"))):
        run("skopeo", "copy", "--dest-tls-verify=false", *options, source, f"{name}:{tag}")
    run("skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", f"{name}:1", f"{name}2:mounted")
    listed = json.loads(run("skopeo", "list-tags", "--tls-verify=false", name).stdout)
    assert listed["Tags"] == ["1", "2", "v2"]
    run("skopeo", "copy", "--src-tls-verify=false", f"{name}:1", f"dir:{tmp_path}/out")
    assert json.loads(run("skopeo", "inspect", "--tls-verify=false", f"{name}2:mounted").stdout)["Os"] == "linux"
    run("skopeo", "delete", "--tls-verify=false", f"{name}:v2")
    listed = json.loads(run("skopeo", "list-tags", "--tls-verify=false", name).stdout)
    assert listed["Tags"] == ["1", "2"]
    assert registry.verb("check").stdout == "everything is there\n"


@ROOT
@needs("podman")
def test_podman(registry, run, tmp_path, archive):
    podman = ("podman", "--root", f"{tmp_path}/root", "--runroot", f"{tmp_path}/run", "--storage-driver", "vfs")
    name = f"{registry.address}/team/podman:1"
    login = (*podman, "login", "--tls-verify=false", "-u", "ana", "--password-stdin", registry.address)
    assert run(*login, stdin="wrong", check=False).returncode != 0
    run(*login, stdin="secret")
    run(*podman, "import", archive, name)
    run(*podman, "push", "--tls-verify=false", name)
    run(*podman, "rmi", name)
    run(*podman, "pull", "--tls-verify=false", name)
    assert json.loads(run(*podman, "image", "inspect", name).stdout)[0]["RepoTags"] == [name]


@ROOT
@needs("buildah")
def test_buildah(registry, run, tmp_path, archive):
    buildah = ("buildah", "--root", f"{tmp_path}/root", "--runroot", f"{tmp_path}/run", "--storage-driver", "vfs")
    name = f"{registry.address}/team/buildah:1"
    run(*buildah, "login", "--tls-verify=false", "-u", "ana", "--password-stdin", registry.address, stdin="secret")
    container = run(*buildah, "from", "scratch").stdout.strip()
    run(*buildah, "add", container, archive)
    run(*buildah, "commit", "--rm", container, name)
    run(*buildah, "push", "--tls-verify=false", name)
    run(*buildah, "rmi", name)
    run(*buildah, "pull", "--tls-verify=false", name)
    assert name in run(*buildah, "images", "--format", "{{.Name}}:{{.Tag}}").stdout


@pytest.fixture
def dockerd(tmp_path_factory, run):
    """A Docker daemon of its own: no bridge, no rules, its own directories and socket."""
    directory = tmp_path_factory.mktemp("docker")
    socket = f"unix://{directory}/docker.sock"
    argv = ["dockerd", "--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec", "-H", socket]
    argv += ["-p", f"{directory}/pid", "--bridge=none", "--iptables=false", "--ip-forward=false"]
    log = open(directory / "log", "w")
    process = subprocess.Popen(argv, stdout=log, stderr=log)

    def docker(*arguments, **more):
        return run("/usr/bin/docker", *arguments, DOCKER_HOST=socket, **more)

    deadline = time.monotonic() + 60
    while docker("version", check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            pytest.skip(f"dockerd does not start here: {(directory / 'log').read_text()[-500:]}")
        time.sleep(0.1)
    yield docker
    process.terminate()
    process.wait(60)
    subprocess.run(["umount", "-l", f"{directory}/exec/netns/default"], check=False, capture_output=True)


@ROOT
@needs("dockerd", "/usr/bin/docker")
def test_docker(registry, archive, dockerd):
    name = f"{registry.address}/team/docker"
    wrong = dockerd("login", "-u", "ana", "--password-stdin", registry.address, stdin="wrong", check=False)
    assert (wrong.returncode, "incorrect username or password" in wrong.stderr) == (1, True)
    dockerd("login", "-u", "ana", "--password-stdin", registry.address, stdin="secret")
    dockerd("import", archive, f"{name}:1")
    dockerd("tag", f"{name}:1", f"{name}:2")
    dockerd("push", "-a", name)
    pushed = json.loads(dockerd("image", "inspect", f"{name}:1").stdout)[0]["RepoDigests"]
    dockerd("rmi", f"{name}:1", f"{name}:2")
    dockerd("pull", "-a", name)
    pulled = json.loads(dockerd("image", "inspect", f"{name}:2").stdout)[0]["RepoDigests"]
    assert pulled == pushed
    dockerd("pull", pushed[0])
    missing = dockerd("pull", f"{name}:none", check=False)
    assert "not found" in missing.stderr
    assert json.loads(
        dockerd("manifest", "inspect", "--insecure", f"{name}:1", DOCKER_CLI_EXPERIMENTAL="enabled").stdout
    )
    dockerd("logout", registry.address)
    assert dockerd("pull", f"{name}:1", check=False).returncode == 1


@ROOT
@needs("dockerd", "/usr/bin/docker", "aws")
def test_docker_logs_in_with_what_the_aws_cli_gives(registry, archive, dockerd, run):
    key = json.loads(registry.verb("key", "create", "--format", "json").stdout)
    environment = {
        "AWS_ENDPOINT_URL": f"http://{registry.address}",
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "PYENV_ROOT": os.environ.get("PYENV_ROOT", "/root/.pyenv"),
    }
    name = "packt-bizza-web-app"
    run("aws", "ecr", "create-repository", "--region", "us-east-1", "--repository-name", name, **environment)
    password = run("aws", "ecr", "get-login-password", "--region", "us-east-1", **environment).stdout
    dockerd("login", "--username", "AWS", "--password-stdin", registry.address, stdin=password)
    dockerd("import", archive, f"{registry.address}/{name}:1")
    dockerd("push", f"{registry.address}/{name}:1")
    assert registry("GET", f"/v2/{name}/manifests/1", headers=basic("ana", "secret")).status == 200
    unknown = dockerd("tag", f"{registry.address}/{name}:1", f"{registry.address}/never-made:1")
    unknown = dockerd("push", f"{registry.address}/never-made:1", check=False)
    assert "does not exist" in unknown.stderr


def test_oras(registry, tmp_path, monkeypatch):
    """The ORAS project's client for Python: artifacts, and what is attached to them."""
    client = pytest.importorskip("oras.client", reason="not installed: oras (pip install oras)")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "note.txt").write_text("hello")
    oras = client.OrasClient(hostname=registry.address, insecure=True, tls_verify=False, auth_backend="basic")
    oras.login("ana", "secret", tls_verify=False, hostname=registry.address, config_path=f"{tmp_path}/auth.json")
    target = f"{registry.address}/team/artifact:1"
    assert oras.push(target, files=["note.txt"]).status_code == 201
    (tmp_path / "large.bin").write_bytes(os.urandom(300_000))
    chunked = f"{registry.address}/team/artifact:2"
    assert oras.push(chunked, files=["large.bin"], do_chunked=True, chunk_size=100_000).status_code == 201
    pulled = oras.pull(target=target, outdir=f"{tmp_path}/out")
    with open(pulled[0]) as file:
        assert file.read() == "hello"
    assert oras.get_tags(target) == ["1", "2"]


def test_what_is_attached_is_found_by_its_type(registry):
    """As `oras attach` and `oras discover` do it (distribution-spec v1.1 #listing-referrers)."""
    headers = basic("ana", "secret")
    subject = registry.push("team/app", "1", b"layer", headers=headers)
    size = len(registry("GET", "/v2/team/app/manifests/1", headers=headers).body)
    registry.push_blob("team/app", b"{}", headers)
    attached = manifest_of(
        b"{}",
        [],
        artifactType="application/spdx+json",
        subject={"mediaType": MANIFEST, "digest": subject, "size": size},
    )
    path = f"/v2/team/app/manifests/{digest_of(attached)}"
    assert registry("PUT", path, attached, {"Content-Type": MANIFEST, **headers}).headers["oci-subject"] == subject
    query = "artifactType=application/spdx%2Bjson"
    found = registry("GET", f"/v2/team/app/referrers/{subject}?{query}", headers=headers).json()["manifests"]
    assert [each["digest"] for each in found] == [digest_of(attached)]
