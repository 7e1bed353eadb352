import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import InvalidInput
from wherry.dockerfile import parse_dockerfile


def only(text):
    return parse_dockerfile("FROM x\n" + text).stages[0].instructions[0]


def test_stages_arguments_and_directives():
    parsed = parse_dockerfile("# syntax=a/b\n# escape=`\n\nARG V=1\nFROM a:$V AS One\nRUN x `\n  y\nFROM One\n")
    assert parsed.directives == {"syntax": "a/b", "escape": "`"}
    assert parsed.arguments[0].text == "V=1"
    assert [(stage.name, stage.base) for stage in parsed.stages] == [("one", "a:$V"), ("", "One")]
    assert parsed.stages[0].instructions[0].text == "x   y"


def test_a_directive_behind_a_comment_is_a_comment():
    assert parse_dockerfile("# hello\n# escape=`\nFROM x\n").directives == {}


def test_comments_and_blank_lines_inside_a_continuation_vanish():
    assert only("RUN a \\\n# comment\n\n  && b\n").text == "a   && b"


def test_two_escapes_at_the_end_do_not_continue():
    parsed = parse_dockerfile("FROM x\nRUN a \\\\\nRUN b\n")
    assert [one.text for one in parsed.stages[0].instructions] == ["a \\\\", "b"]


def test_json_and_shell_forms():
    assert only('CMD ["a", "b c"]').json == ("a", "b c")
    assert only("CMD ['a']").json is None
    assert only('CMD ["a" "b"]').text == '["a" "b"]'
    with pytest.raises(InvalidInput, match="only string type"):
        only('CMD ["a", 1]')


def test_flags():
    copy = only("COPY --from=a --chown=1:2 --exclude=x --exclude=y src dst")
    assert (copy.flag("from"), copy.flag("chown"), copy.all_flags("exclude"), copy.text) == (
        "a",
        "1:2",
        ["x", "y"],
        "src dst",
    )
    for text, words in (("COPY --nope a b", "unknown flag"), ("COPY --from=a --from=b a b", "duplicate flag")):
        with pytest.raises(InvalidInput, match=words):
            only(text)


def test_heredocs():
    run = only("RUN <<-EOF cat\n\t\thello\n\tEOF\n")
    assert [(one.name, one.content, one.expand) for one in run.heredocs] == [("EOF", "hello\n", True)]
    copy = only("COPY <<'a' <<b /x/\n1\na\n2\nb\n")
    assert [(one.name, one.content, one.expand) for one in copy.heredocs] == [("a", "1\n", False), ("b", "2\n", True)]
    with pytest.raises(InvalidInput, match="unterminated heredoc"):
        only("RUN <<EOF\nno end\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be empty"),
        ("RUN x", "no build stage"),
        ("FROM", "requires"),
        ("FROM a b", "either one or three"),
        ("FROM a AS 1b", "invalid name for build stage"),
        ("FROM x\nFORM y", "line 2: unknown instruction: FORM"),
        ("# escape=x\nFROM a", "invalid ESCAPE"),
    ],
)
def test_mistakes_are_told_with_their_line(text, words):
    with pytest.raises(InvalidInput) as error:
        parse_dockerfile(text)
    assert words in error.value.message


@given(st.text(alphabet="FROM RUNCOPY \\\n#<EOF\"[]=-$'{}ax", max_size=60))
def test_any_text_is_parsed_or_refused(text):
    try:
        parse_dockerfile(text)
    except InvalidInput:
        pass
