import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import InvalidInput, Unsupported
from wherry.dockerfile import MountFlag, mount_source, parse_mount


def parse(text, **variables):
    return parse_mount(text, lambda value: value.replace("$V", variables.get("V", "")))


def test_each_kind_with_its_defaults():
    assert parse("target=/x") == MountFlag("bind", "/x")
    assert parse("type=cache,dst=/c") == MountFlag("cache", "/c", read_only=False)
    assert parse("type=tmpfs,destination=/t,size=1.5m") == MountFlag("tmpfs", "/t", read_only=False, size=1572864)
    assert parse("type=secret,id=s,required,mode=0440,uid=1,gid=2") == MountFlag(
        "secret", id="s", mode=0o440, uid=1, gid=2, required=True
    )


def test_every_spelling():
    assert parse("src=a,target=/x,rw").read_only is False
    assert parse("source=a,target=/x,readwrite=false").read_only is True
    assert parse("type=cache,target=/x,ro").read_only is True
    assert parse("type=cache,target=/x,readonly=false").read_only is False
    assert parse('target=/x,"source=a,b"').source == "a,b"
    assert parse("TYPE=cache,Target=/$V", V="c").target == "/c"


def test_what_from_names():
    assert mount_source("type=bind,from=stage,target=/x") == "stage"
    assert mount_source("type=cache,target=/x") == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type=x", "unsupported mount type"),
        ("target", "must be a key=value pair"),
        ("target=/x,size=1m", "unexpected key 'size'"),
        ("target=/x,required", "unexpected key 'required'"),
        ("target=/x,mode=755", "unexpected key 'mode'"),
        ("type=cache,target=/x,mode=9", "invalid value 9 for mode"),
        ("type=secret", "one of source, target required"),
        ("type=secret,id=a,source=b", "both source and id"),
        ("type=secret,id=a,from=b", "should not have a from"),
        ("target=/x,ro=maybe", "invalid value for readonly"),
        ("target=/x,sorce=a", "unexpected key 'sorce'"),
        ("target=/x,from=$V", "variable expansion"),
        ("type=tmpfs,target=/x,size=big", "invalid value for size"),
        ('"target=', "csv"),
    ],
)
def test_mistakes(text, words):
    with pytest.raises(InvalidInput, match=words):
        parse(text)


def test_ssh_is_refused():
    with pytest.raises(Unsupported, match="type=ssh"):
        parse("type=ssh")


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text):
    try:
        parse(text)
    except (InvalidInput, Unsupported):
        pass
