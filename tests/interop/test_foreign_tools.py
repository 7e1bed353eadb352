"""Foreign tools read the store, and a foreign registry is pulled from."""

import json
import os
import shutil
import socket
import subprocess
import urllib.request

import pytest


def needs(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@needs("skopeo")
def test_skopeo_reads_the_content_as_an_oci_layout(wherry):
    source = f"oci:{wherry.root}/content:docker.io/library/tiny:latest"
    done = subprocess.run(["skopeo", "inspect", "--config", source], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["config"]["Env"][1:] == ["NAME=tiny"]


@needs("umoci")
def test_umoci_unpacks_the_content_as_it_was_built(wherry, tmp_path):
    source = f"{wherry.root}/content:docker.io/library/tiny:latest"
    subprocess.run(
        ["umoci", "raw", "unpack", "--image", source, str(tmp_path / "out")], check=True, capture_output=True
    )
    assert (tmp_path / "out/etc/passwd").read_text().startswith("root:x:0:0")
    assert (tmp_path / "out/tmp").stat().st_mode & 0o7777 == 0o1777


@pytest.fixture
def registry(tmp_path, eventually):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": address},
        "log": {"level": "error"},
    }
    (tmp_path / "config.yml").write_text(json.dumps(config))
    program = shutil.which("docker-registry") or shutil.which("registry")
    server = subprocess.Popen([program, "serve", str(tmp_path / "config.yml")], stderr=subprocess.DEVNULL)

    def answers():
        try:
            return urllib.request.urlopen(f"http://{address}/v2/", timeout=1).status == 200
        except OSError:
            return False

    eventually(answers)
    yield address
    server.terminate()
    server.wait()


@needs("docker-registry", "skopeo")
def test_images_are_pulled_from_docker_registry_whatever_their_compression(wherry, registry):
    source = f"oci:{wherry.root}/content:docker.io/library/tiny:latest"
    for tag, compression in (("gz", "gzip"), ("zst", "zstd")):
        target = f"docker://{registry}/pulled:{tag}"
        argv = ["skopeo", "copy", "--dest-tls-verify=false", "--dest-compress-format", compression, source, target]
        subprocess.run(argv, check=True, capture_output=True)
        name = f"{registry}/pulled:{tag}"
        wherry("pull", "-q", name)
        assert wherry("run", "--rm", name, "sh", "-c", "echo $NAME").out == "tiny\n"
        wherry("rmi", name)


@needs("docker-registry")
def test_what_a_registry_does_not_have_is_told(wherry, registry):
    done = wherry("pull", f"{registry}/no/such:1", check=False)
    assert done.returncode == 1
    assert "not found: manifest unknown" in done.err


def test_a_registry_that_is_not_there_is_told_at_once(wherry):
    done = wherry("pull", "127.0.0.1:1/a", check=False, timeout=10)
    assert "cannot reach 127.0.0.1:1: Connection refused" in done.err
    assert os.path.isdir(wherry.root)
