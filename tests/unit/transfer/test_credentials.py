"""config.json, shared with Docker: whatever is in it stays, and secrets are where they belong."""

import base64
import json
import os
import stat
import string
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as some

from wherry.base.errors import InvalidInput, Unavailable, WherryError
from wherry.transfer import Credentials, Login
from wherry.transfer.credentials import registry_key

HUB = "https://index.docker.io/v1/"


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "docker"


def credentials(directory):
    return Credentials({"DOCKER_CONFIG": str(directory)})


def content(directory):
    return json.loads((directory / "config.json").read_text())


def helper(directory, name, script):
    """A credential helper on the PATH that notes its calls."""
    path = directory / f"docker-credential-{name}"
    path.write_text(f'#!/bin/sh\necho "$1" >>{directory}/calls\n{script}\n')
    path.chmod(0o755)


def test_a_login_is_kept_as_docker_keeps_it(directory):
    assert credentials(directory).store("reg.example:5000", Login("ana", "p:w")) == str(directory / "config.json")
    entry = {"auth": base64.b64encode(b"ana:p:w").decode()}
    assert content(directory) == {"auths": {"reg.example:5000": entry}}
    assert stat.S_IMODE(os.stat(directory / "config.json").st_mode) == 0o600
    assert (directory / "config.json").read_text().startswith('{\n\t"auths": {')
    assert credentials(directory).find("reg.example:5000") == Login("ana", "p:w")


def test_an_identity_token_takes_the_place_of_the_password(directory):
    credentials(directory).store("reg.example", Login("ana", "pw", "token"))
    assert "pw" not in base64.b64decode(content(directory)["auths"]["reg.example"]["auth"]).decode()
    assert credentials(directory).find("reg.example") == Login("ana", "", "token")


def test_docker_hub_has_a_name_of_its_own(directory):
    assert {registry_key(name) for name in ("docker.io", "index.docker.io", HUB)} == {HUB}
    credentials(directory).store("docker.io", Login("ana", "pw"))
    assert list(content(directory)["auths"]) == [HUB]


def test_addresses_of_old_are_found_by_their_host(directory):
    directory.mkdir()
    entry = {"auth": base64.b64encode(b"ana:pw").decode()}
    (directory / "config.json").write_text(json.dumps({"auths": {"https://reg.example/v2/": entry}}))
    assert credentials(directory).find("reg.example") == Login("ana", "pw")
    credentials(directory).erase("reg.example")
    assert content(directory)["auths"] == {}


def test_a_link_stays_a_link(directory, tmp_path):
    directory.mkdir()
    (tmp_path / "real.json").write_text('{"zzz":1}')
    (directory / "config.json").symlink_to(tmp_path / "real.json")
    credentials(directory).store("reg.example", Login("ana", "pw"))
    assert (directory / "config.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["zzz"] == 1


def test_helpers_come_before_the_store_and_the_store_before_auths(directory, monkeypatch):
    directory.mkdir()
    helper(directory, "one", 'cat >/dev/null; echo \'{"Username":"one","Secret":"1"}\'')
    helper(directory, "two", 'cat >/dev/null; echo \'{"Username":"<token>","Secret":"2"}\'')
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    auth = {"auth": base64.b64encode(b"three:3").decode()}
    config = {"credsStore": "two", "credHelpers": {"a.example": "one"}, "auths": {"b.example": auth}}
    (directory / "config.json").write_text(json.dumps(config))
    assert credentials(directory).find("a.example") == Login("one", "1")
    assert credentials(directory).find("b.example") == Login("", "", "2")


def test_a_helper_keeps_the_secret_instead_of_the_file(directory, monkeypatch):
    directory.mkdir()
    helper(directory, "box", f"cat >>{directory}/given")
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    (directory / "config.json").write_text('{"credsStore":"box"}')
    assert credentials(directory).store("reg.example", Login("ana", "pw")) == ""
    given_to_it = json.loads((directory / "given").read_text())
    assert given_to_it == {"ServerURL": "reg.example", "Username": "ana", "Secret": "pw"}
    assert content(directory) == {"credsStore": "box", "auths": {"reg.example": {}}}
    credentials(directory).erase("reg.example")
    assert (directory / "calls").read_text().split() == ["store", "erase"]
    assert content(directory)["auths"] == {}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo credentials not found in native keychain; exit 1", None),
        ("echo broken >&2; exit 2", WherryError),
        ("echo nonsense", Unavailable),
        ("exit 0", Unavailable),
    ],
)
def test_what_a_helper_says_wrong(directory, monkeypatch, script, expected):
    directory.mkdir()
    helper(directory, "box", f"cat >/dev/null; {script}")
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    (directory / "config.json").write_text('{"credsStore":"box"}')
    if expected is None:
        assert credentials(directory).find("reg.example") is None
    else:
        with pytest.raises(expected):
            credentials(directory).find("reg.example")


@pytest.mark.parametrize("name", ["missing-one", "../../bin/sh", 5])
def test_a_helper_that_is_none(directory, name):
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps({"credsStore": name}))
    with pytest.raises(WherryError):
        credentials(directory).find("reg.example")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"auths":[1]}',
        '{"auths":{"reg.example":"x"}}',
        '{"auths":{"reg.example":{"auth":"%%%"}}}',
        '{"auths":{"reg.example":{"auth":"YQ=="}}}',
        '{"auths":{"reg.example":{"auth":5}}}',
        "[" * 100_000,
    ],
)
def test_a_broken_file_is_told_and_left_alone(directory, text):
    directory.mkdir()
    (directory / "config.json").write_text(text)
    with pytest.raises(InvalidInput):
        credentials(directory).find("reg.example")
    assert (directory / "config.json").read_text() == text


def test_two_logins_at_once_lose_nothing(directory):
    names = [f"reg{number}.example" for number in range(20)]
    threads = [threading.Thread(target=credentials(directory).store, args=(name, Login("ana", name))) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(content(directory)["auths"]) == sorted(names)
    assert sorted(os.listdir(directory)) == ["config.json"]


_text = some.text(some.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=20)
_json = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**53), 2**53) | _text,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)


@given(
    rest=some.dictionaries(_text.filter(lambda key: key not in ("auths", "credsStore", "credHelpers")), _json),
    user=some.text(string.ascii_letters + "-._", min_size=1, max_size=10),
    password=_text.filter(lambda text: text),
    token=some.sampled_from(["", "token"]),
)
def test_unknown_keys_survive_login_and_logout(tmp_path_factory, rest, user, password, token):
    directory = tmp_path_factory.mktemp("config")
    other = {"auth": base64.b64encode(b"other:pw").decode(), "unknown": 1}
    (directory / "config.json").write_text(json.dumps({**rest, "auths": {"other.example": other}}))
    credentials(directory).store("reg.example", Login(user, password, token))
    found = credentials(directory).find("reg.example")
    assert found == Login(user, "" if token else password, token)
    credentials(directory).erase("reg.example")
    assert content(directory) == {**rest, "auths": {"other.example": other}}
