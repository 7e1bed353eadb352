import pytest

from wherry.base.errors import InvalidInput, NotFound
from wherry.cli.verbs.build import request_of


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    """The secrets of a command line, as bytes."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "file").write_bytes(b"of the file")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIABLE", "of the variable")

    def read(*given):
        flags = [word for text in given for word in ("--secret", text)]
        return {name: one.read() for name, one in request_of([*flags, "."]).secrets.items()}

    return read


@pytest.mark.parametrize(
    ("given", "content"),
    [
        ("id=s,src=file", b"of the file"),
        ("id=s,source=file,type=file", b"of the file"),
        ("id=s,env=VARIABLE", b"of the variable"),
        ("id=s,src=VARIABLE,type=env", b"of the variable"),
    ],
)
def test_every_form(secrets, given, content):
    assert secrets(given) == {"s": content}


def test_an_identifier_alone_names_a_variable_or_a_file(secrets):
    assert secrets("id=VARIABLE", "id=file") == {"VARIABLE": b"of the variable", "file": b"of the file"}


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ("src=file", InvalidInput, "secret missing ID"),
        ("id=s,src=nope", NotFound, "failed to stat nope"),
        ("id=s,env=NOPE_NOT_SET", NotFound, "environment variable NOPE_NOT_SET not found"),
        ("id=s,nope=1", InvalidInput, "unexpected key 'nope'"),
        ("id", InvalidInput, "must be a key=value pair"),
        ("id=s,type=x", InvalidInput, "unsupported secret type"),
    ],
)
def test_mistakes(secrets, given, error, words):
    with pytest.raises(error, match=words):
        secrets(given)


def test_a_secret_that_is_too_large_is_refused(secrets, tmp_path):
    (tmp_path / "large").write_bytes(bytes(500 * 1024 + 1))
    with pytest.raises(InvalidInput, match="too big"):
        secrets("id=large")
