import pytest

from wherry.base.errors import InvalidInput
from wherry.build.plan import global_arguments, plan_stages, platform_arguments
from wherry.build.state import StageState
from wherry.dockerfile import parse_dockerfile
from wherry.oci.config import ContainerDefaults, ImageConfig


def plan(text, target="", **given):
    parsed = parse_dockerfile(text)
    return [one.stage.number for one in plan_stages(parsed, target, global_arguments(parsed, given, {}))]


TEXT = """
FROM a AS one
FROM b AS two
COPY --from=one /x /
FROM c AS three
FROM two
RUN --mount=type=bind,from=three,target=/x y
"""


def test_only_what_is_needed_and_in_order():
    assert plan(TEXT) == [0, 1, 2, 3]
    assert plan(TEXT, "three") == [2]
    assert plan(TEXT, "TWO") == [0, 1]
    assert plan(TEXT, "0") == [0]


def test_a_stage_by_number_and_a_later_name_wins():
    assert plan("FROM a AS x\nFROM b AS x\nFROM x\n") == [1, 2]
    assert plan("FROM a\nFROM b\nCOPY --from=0 /x /\n") == [0, 1]


def test_arguments_before_from():
    parsed = parse_dockerfile("ARG V=1\nARG W=$V-x\nFROM a:$W\n")
    assert global_arguments(parsed, {"V": "2"}, {}) == {"V": "2", "W": "2-x"}
    assert plan_stages(parsed, "", {"W": "9"})[0].base == "a:9"
    assert platform_arguments("arm", "v7", "")["TARGETPLATFORM"] == "linux/arm/v7"


def test_what_a_stage_needs_is_known_before():
    parsed = parse_dockerfile("FROM a AS x\nONBUILD COPY --from=y /f /\nFROM b AS z\nFROM x\nCOPY --from=z /g /\n")
    planned = plan_stages(parsed, "", {})
    assert [(one.stage.number, set(one.needs)) for one in planned] == [(0, set()), (1, set()), (2, {0, 1})]
    parsed = parse_dockerfile("FROM b AS y\nFROM a AS x\nONBUILD COPY --from=y /f /\nFROM x\n")
    assert set(plan_stages(parsed, "", {})[-1].needs) == {0, 1}
    with pytest.raises(InvalidInput, match="line 2: invalid field"):
        plan("FROM a\nRUN --mount=target true\n")


def test_blank_bases_and_unknown_targets_are_refused():
    with pytest.raises(InvalidInput, match="should not be blank"):
        plan("FROM $NOPE\n")
    with pytest.raises(InvalidInput, match="could not be found"):
        plan("FROM a\n", "nope")


def test_paths_are_resolved_in_the_working_directory():
    state = StageState(ImageConfig("amd64", config=ContainerDefaults(working_dir="/srv")))
    assert state.resolve("x/../y") == "/srv/y"
    assert state.resolve("/a/./b/") == "/a/b/"
    assert state.resolve("../../..") == "/"
