"""Every Compose file below `compose/` gives the model, or the error, that is stored beside it."""

import json
import os

import pytest
from compose_cases import cases, expected

from wherry.base.errors import WherryError
from wherry.cli.flags import Command
from wherry.cli.verbs.compose import FLAGS
from wherry.compose import ProjectOptions, load_project
from wherry.compose.project import without_unused
from wherry.compose.readers import DiskSource, MemorySource
from wherry.compose.rendering import canonical_model, escape_dollars, to_json, to_yaml

CASES = cases()


class WithInput(DiskSource):
    def __init__(self, path):
        self._path = path

    def standard_input(self):
        return self.read(self._path)


def load(case, **changes):
    parsed = Command("compose", "", "", FLAGS).parse(case.options)
    options = ProjectOptions(
        environment=case.environment,
        cwd=case.cwd,
        files=tuple(parsed["file"]),
        name=parsed["project-name"],
        directory=parsed["project-directory"],
        env_files=tuple(parsed["env-file"]),
        profiles=tuple(parsed["profile"]),
    )
    source = WithInput(case.stdin) if case.stdin else DiskSource()
    return without_unused(load_project(options._replace(**changes), source))


def test_there_are_enough_points():
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_model(case):
    kind, text = expected(case)
    if kind == "model.yaml":
        assert escape_dollars(to_yaml(canonical_model(load(case)))) == text
        return
    with pytest.raises(WherryError) as caught:
        load(case)
    words = [caught.value.message, *filter(None, [caught.value.hint])]
    assert "\n".join(words) + "\n" == text


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_model_gives_itself_when_it_is_read_again(case):
    """What `config` prints is a Compose file that means the same."""
    if expected(case)[0] != "model.yaml" or case.name == "interpolation-keys":
        pytest.skip("an error has no model; keys are not interpolated, so dollar signs in them stay doubled")
    model = canonical_model(load(case))
    name, text = model["name"], escape_dollars(to_yaml(model))
    files = {"/again/compose.yaml": text}
    options = ProjectOptions({}, "/again", profiles=("*",))
    again = canonical_model(without_unused(load_project(options, MemorySource(files))))
    assert json.loads(to_json(again)) == json.loads(to_json(model))
    assert again["name"] == name


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_without_interpolation_every_variable_stays(case):
    if expected(case)[0] != "model.yaml" or not os.path.exists(f"{case.directory}/compose.yaml"):
        pytest.skip("nothing to compare")
    model = to_yaml(canonical_model(load(case, interpolate=False, resolve_environment=False)))
    with open(f"{case.directory}/compose.yaml") as file:
        text = file.read()
    for variable in ("${SET:?must be}", "${UNSET:-${ALSO:-${SET}}}", "${MEM}"):
        assert (variable in text) == (variable in model)
