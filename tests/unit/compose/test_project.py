import pytest

from wherry.base.errors import InvalidInput, NotFound
from wherry.compose import ProjectOptions, load_project
from wherry.compose.graph import dependents, find_cycle, in_order, with_dependencies
from wherry.compose.hashing import service_hash
from wherry.compose.project import project_name, select
from wherry.compose.readers import MemorySource


def load(text, *, services=(), environment=None, files=None, **options):
    source = MemorySource({"/home/My.Shop/compose.yaml": text, **(files or {})})
    return load_project(ProjectOptions(environment or {}, "/home/My.Shop", **options), source, services=services)


def test_the_directory_names_the_project():
    assert load("services: {a: {image: i}}").name == "myshop"


def test_a_name_that_is_given_needs_no_file():
    assert project_name(ProjectOptions({}, "/", name="x"), MemorySource({})) == "x"
    with pytest.raises(NotFound, match="no configuration file"):
        project_name(ProjectOptions({}, "/"), MemorySource({}))
    with pytest.raises(InvalidInput, match="must not be empty"):
        project_name(ProjectOptions({}, "/__"), MemorySource({"/__/compose.yaml": "services: {}"}))


def test_a_named_service_activates_its_profiles():
    text = "services: {a: {image: i, profiles: [p]}, b: {image: i, profiles: [p]}, c: {image: i, profiles: [q]}}"
    assert set(load(text, services=["a"]).services) == {"a", "b"}
    assert set(load(text).disabled) == {"a", "b", "c"}


def test_select_keeps_dependencies_unless_told():
    project = load("services: {a: {image: i, depends_on: [b]}, b: {image: i}, c: {image: i}}")
    assert set(select(project, ["a"]).services) == {"a", "b"}
    assert set(select(project, ["a"], dependencies=False).services) == {"a"}
    with pytest.raises(NotFound, match="no such service: d"):
        select(project, ["d"])


def test_the_hash_leaves_out_what_changes_no_container():
    def of(extra):
        return service_hash(load(f"services: {{b: {{image: i}}, a: {{image: i{extra}}}}}").services["a"])

    plain = of("")
    for extra in (", build: .", ", scale: 2", ", depends_on: [b]", ", pull_policy: always", ", deploy: {replicas: 3}"):
        assert of(extra) == plain
    for extra in (", command: x", ", environment: {A: 1}", ", labels: {a: b}", ", deploy: {labels: {a: b}}"):
        assert of(extra) != plain
    assert of(", privileged: false") == plain


def test_graph():
    edges = {"a": ["b", "c"], "b": ["c"], "c": [], "d": ["a"]}
    assert in_order(edges) == ["c", "b", "a", "d"]
    assert with_dependencies(["b"], edges) == {"b", "c"}
    assert dependents(edges)["c"] == {"a", "b"}
    assert not find_cycle(edges)
    assert find_cycle({"a": ["b"], "b": ["a"]}) == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("services: {a: {image: i, depends_on: {b: }}, b: {image: i}}", "1:39.*condition|expected"),
        ("services: {a: {image: i, volumes: [{type: bind, target: /x}]}}", "needs a source"),
        ("services: {'a b': {image: i}}", "cannot be a name"),
        ("services: {a: {image: i, restart: {x: y}}}", "services.a.restart: expected text, found a mapping"),
        ("services: {a: {image: i, extra_hosts: [x]}}", "NAME=ADDRESS"),
        ("services: {a: {image: i, healthcheck: {retries: x}}}", "whole number"),
        ("services: {a: {image: i, ports: ['70000:80']}}", "port range"),
        ("services: {a: {image: i, ports: ['1-3:80-81']}}", "not equally long"),
        ("services: {a: {image: i, volumes: ['a:/b:c:d']}}", "too many colons"),
        ("services: {a: {image: i, command: 'a \"b'}}", "invalid command line"),
        ("services: {a: {image: i, environment: {A: [1]}}}", "found a list"),
        ("services: {a: {image: i, ulimits: {nofile: x}}}", "whole number"),
        ("services: {a: {image: i, pull_policy: sometimes}}", "no pull policy"),
        ("services: {a: {image: i, secrets: [{source: s, mode: 9}]}}", "undefined secret|permissions"),
        ("services: {a: {image: i, mem_limit: lots}}", "invalid size"),
        ("services: {a: {image: i, privileged: maybe}}", "true or false"),
        ("services: {a: {image: i, restart: sometimes}}", "invalid restart policy"),
        ("services: {a: {image: i, restart: 'always:3'}}", "invalid restart policy"),
        ("services: {a: {image: i, oom_score_adj: 5000}}", "out of range"),
        ("configs: {c: {file: x, content: y}}\nservices: {a: {image: i}}", "exclude each other"),
        ("networks: {n: {name: a, external: {name: b}}}\nservices: {a: {image: i}}", "given twice"),
        ("include: [{project_directory: x}]\nservices: {}", "path"),
        ("include: [gone.yaml]\nservices: {}", "No such file"),
        ("services: {a: {extends: {file: gone.yaml, service: b}}}", "No such file"),
        ("services: {a: {build: {context: ., dockerfile: x, dockerfile_inline: y}}}", "exclude each other"),
    ],
)
def test_mistakes_are_told_with_their_place(text, words):
    with pytest.raises((InvalidInput, NotFound), match=words) as caught:
        load(text)
    assert "compose.yaml:" in caught.value.message or "environment" in words


def test_warnings_are_given_once():
    told = []
    source = MemorySource({"/p/compose.yaml": "version: '3'\nservices: {a: {image: i$X}, b: {image: i$X}}"})
    load_project(ProjectOptions({}, "/p"), source, told.append)
    assert len(told) == 2
