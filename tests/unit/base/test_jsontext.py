"""JSON without the `json` package says what that says."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base import jsontext

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_it_writes_what_json_writes_and_reads_it_back(value):
    text = jsontext.encode(value)
    assert text == json.dumps(value)
    assert jsontext.decode(text) == jsontext.decode(f"\n {text}\t".encode()) == value


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \n\\uInfity'))
def test_what_json_refuses_is_refused(text):
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(json.JSONDecodeError):
            jsontext.decode(text)
    else:
        assert repr(jsontext.decode(text)) == repr(expected)


@pytest.mark.parametrize("text", ["", " ", "{", '{"a": 1} x', "nul"])
def test_what_is_no_json_is_an_error_of_values(text):
    with pytest.raises(json.JSONDecodeError):
        jsontext.decode(text)


def test_values_that_json_has_no_form_for_are_refused():
    with pytest.raises(TypeError, match="set is not JSON serializable"):
        jsontext.encode({"a": {1}})


def test_an_interpreter_without_the_fast_parts_does_it_too(monkeypatch):
    monkeypatch.setattr(jsontext, "_scan", None)
    monkeypatch.setattr(jsontext, "_write", None)
    assert jsontext.decode(jsontext.encode({"a": [1, None]})) == {"a": [1, None]}


def test_the_package_is_not_loaded():
    script = (
        "import sys; from wherry.base.jsontext import decode, encode;"
        " encode(decode('[1]')); assert 'json' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-I", "-c", script], check=False).returncode == 0
