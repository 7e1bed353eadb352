import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import InvalidInput
from wherry.cli.gotemplate import Template, Types

VALUE = {
    "Name": "/web",
    "State": {"Status": "running", "Pid": 5, "Running": True},
    "Ports": {"80/tcp": [{"HostPort": "8080"}]},
    "Env": ["A=1", "B=2"],
    "None": None,
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("{{.Name}}", "/web"),
        ("{{ .State.Status }} {{.State.Pid}}", "running 5"),
        ("{{json .Env}}", '["A=1","B=2"]'),
        ("{{.Env}}", "[A=1 B=2]"),
        ("{{.State}}", "map[Pid:5 Running:true Status:running]"),
        ('{{join .Env ","}}', "A=1,B=2"),
        ("{{range .Env}}<{{.}}>{{end}}", "<A=1><B=2>"),
        ("{{range $i, $e := .Env}}{{$i}}{{$e}};{{end}}", "0A=1;1B=2;"),
        ("{{range $port, $list := .Ports}}{{$port}}{{(index $list 0).HostPort}}{{end}}", "80/tcp8080"),
        ('{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ('{{if eq .State.Status "exited"}}a{{else if .State.Running}}b{{else}}c{{end}}', "b"),
        ("{{with .State}}{{.Status}}{{end}}", "running"),
        ("{{.Name | upper}}", "/WEB"),
        ('{{upper (lower .Name) | printf "%q"}}', '"/WEB"'),
        ('{{printf "%s-%d" .Name .State.Pid}}', "/web-5"),
        ("{{len .Env}}", "2"),
        ("{{/* nothing */}}x", "x"),
        ("a {{- 1 -}} b", "a1b"),
        ("{{$x := .Name}}{{$x}}{{$.Name}}", "/web/web"),
        ("{{not .State.Running}} {{and true .Name}} {{or .None .Name}}", "false /web /web"),
        ("{{println .Name}}", "/web\n"),
        ("{{truncate .Name 2}}", "/w"),
        ("{{.None}}", "<no value>"),
    ],
)
def test_what_dockers_users_write(template, expected):
    assert Template(template).render(VALUE) == expected


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{.Nope}}", 'no entry for key "Nope"'),
        ("{{nope .Name}}", 'function "nope" not defined'),
        ("{{.Name", "unclosed action"),
        ("{{if .Name}}x", "unexpected EOF"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{$x}}", "undefined variable"),
        ("{{.Name.Deeper}}", "can't evaluate field Deeper"),
        ("{{}}", "missing value for command"),
    ],
)
def test_mistakes_are_told(template, words):
    with pytest.raises(InvalidInput) as error:
        Template(template).render(VALUE)
    assert words in error.value.message


@given(st.text(alphabet='{}.$|()"abc 1-', max_size=20))
def test_any_text_is_rendered_or_refused(text):
    try:
        Template(text).render(VALUE)
    except InvalidInput:
        pass


@given(st.text(alphabet=st.characters(blacklist_characters="{}"), max_size=50))
def test_plain_text_stays(text):
    assert Template(text).render(None) == text


TYPES = Types(frozenset({"Labels"}), frozenset({"Cmd"}), frozenset({"Health"}))


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("{{.Labels.nope}}", {"Labels": {}}, "<no value>"),
        ("{{.Labels}} {{.Cmd}} {{len .Cmd}}", {"Labels": None, "Cmd": None}, "map[] [] 0"),
        ("{{json .}} {{json .Cmd}}", {"Labels": None, "Cmd": None}, '{"Labels":null,"Cmd":null} null'),
        ("{{.Health}} {{json .Health}} {{range .Health}}x{{end}}", {}, "<nil> null "),
        ("{{range .Cmd}}x{{else}}none{{end}}", {"Cmd": None}, "none"),
        ("{{if .State.Health}}yes{{else}}no{{end}} {{json .State}}", {"State": {"Up": True}}, 'no {"Up":true}'),
        ('{{$x := "a"}}{{range .L}}{{$x = .}}{{end}}{{$x}}', {"L": ["b", "c"]}, "c"),
        ('{{$x := "a"}}{{if true}}{{$x := "b"}}{{end}}{{$x}}', {}, "a"),
        ('{{$x := "a"}}{{with "c"}}{{$x = .}}{{end}}{{$x}}', {}, "c"),
    ],
)
def test_variables_and_maps_are_gos(text, value, expected):
    assert Template(text, TYPES).render(value) == expected


def test_only_what_has_parts_is_ranged_over():
    with pytest.raises(InvalidInput, match="range can't iterate over abc"):
        Template("{{range .}}x{{end}}").render("abc")
    with pytest.raises(InvalidInput, match="can't evaluate field Status"):
        Template("{{.Health.Status}}", TYPES).render({})
    with pytest.raises(InvalidInput, match='no entry for key "Nope"'):
        Template("{{.Nope}}", TYPES).render({})


def test_a_variable_must_be_declared():
    with pytest.raises(InvalidInput, match=r"undefined variable: \$y"):
        Template("{{$y = 1}}").render({})


def test_an_unknown_function_is_told_before_anything_is_rendered():
    with pytest.raises(InvalidInput, match='function "nofunc" not defined'):
        Template("{{if false}}{{nofunc .}}{{end}}")
