import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import InvalidInput, NotFound
from wherry.compose import ProjectOptions, load_project
from wherry.compose import labels as label
from wherry.compose.actions import describe
from wherry.compose.hashing import resource_hash, service_hash
from wherry.compose.plan import UpOptions, plan_start
from wherry.compose.plan import plan_up as plan_with
from wherry.compose.project import select
from wherry.compose.readers import MemorySource
from wherry.compose.state import ObservedContainer, ObservedMount, ObservedResource, State
from wherry.compose.teardown import DownOptions, plan_restart, plan_stop, service_edges
from wherry.compose.teardown import plan_down as down_with

IMAGE = "sha256:1"
THREE = """
services:
  db: {image: i, volumes: ["data:/d", /anon]}
  api: {image: i, depends_on: {db: {condition: service_healthy}}}
  web: {image: i, depends_on: [api]}
volumes: {data: }
"""


def plan_up(project, state, options=None):
    return plan_with(project, state, options or UpOptions())


def plan_down(name, project, state, options=None):
    return down_with(name, project, state, options or DownOptions())


def load(text, **options):
    return load_project(ProjectOptions({}, "/p", **options), MemorySource({"/p/compose.yaml": text}))


def container(project, service, number=1, **changes):
    config = project.services[service]
    labels = label.container_labels(project, config, number=number, config_hash=service_hash(config), image_id=IMAGE)
    labels.update(changes.pop("labels", {}))
    mounts = tuple(
        ObservedMount(mount["target"], project.volumes[mount["source"]]["name"] if mount.get("source") else "anon")
        for mount in config.get("volumes", ())
        if mount["type"] == "volume"
    )
    networks = tuple(project.networks[key]["name"] for key in config.get("networks", {}))
    values = {"networks": networks, "mounts": mounts, **changes}
    return ObservedContainer(f"{service}{number}".ljust(64, "0"), f"p-{service}-{number}", labels, **values)


def settled(project, *extra, without=(), **changes):
    """Everything as the project wants it."""
    containers = [
        container(project, name, number, **changes)
        for name, service in project.services.items()
        for number in range(1, service.scale + 1)
        if name not in without
    ]
    networks = {
        one["name"]: ObservedResource(one["name"], label.resource_labels("p", label.NETWORK, key, resource_hash(one)))
        for key, one in project.networks.items()
    }
    volumes = {
        one["name"]: ObservedResource(one["name"], label.resource_labels("p", label.VOLUME, key, resource_hash(one)))
        for key, one in project.volumes.items()
    }
    return State((*containers, *extra), networks, volumes, {"i": IMAGE})


def verbs(plan):
    return [(step.verb, step.name) for step in plan.steps]


def before(plan, first, second):
    """Whether the step (verb, name) `first` must be done before `second`."""
    numbers = {(step.verb, step.name): step.number for step in plan.steps}
    steps = {step.number: step for step in plan.steps}
    waiting, seen = [numbers[second]], set()
    while waiting:
        number = waiting.pop()
        seen.add(number)
        waiting += [other for other in steps[number].after if other not in seen]
    return numbers[first] in seen


def test_from_nothing_everything_is_made_in_order():
    plan = plan_up(load(THREE), State())
    assert ("create-network", "p_default") in verbs(plan)
    assert before(plan, ("create-network", "p_default"), ("create", "p-web-1"))
    assert before(plan, ("create-volume", "p_data"), ("create", "p-db-1"))
    assert not before(plan, ("create-volume", "p_data"), ("create", "p-web-1"))
    assert not before(plan, ("create", "p-db-1"), ("create", "p-web-1"))
    assert before(plan, ("start", "p-db-1"), ("wait", "p-db-1"))
    assert before(plan, ("wait", "p-db-1"), ("start", "p-api-1"))
    assert before(plan, ("start", "p-api-1"), ("start", "p-web-1"))
    assert all(other < step.number for step in plan.steps for other in step.after)


def test_a_second_up_does_nothing():
    project = load(THREE)
    plan = plan_up(project, settled(project))
    assert plan.steps == ()
    assert plan.unchanged == ("p-db-1", "p-api-1", "p-web-1")


def test_stopped_containers_are_started_again():
    project = load(THREE)
    plan = plan_up(project, settled(project, status="exited"))
    assert [verb for verb, _ in verbs(plan)] == ["start", "wait", "start", "start"]


def test_without_start_nothing_is_started():
    plan = plan_up(load(THREE), State(), UpOptions(start=False))
    assert not {"start", "wait"} & {verb for verb, _ in verbs(plan)}


def test_what_changed_is_made_anew_and_its_old_volumes_are_taken_over():
    project = load(THREE)
    state = settled(project, container(project, "db", labels={label.CONFIG_HASH: "old"}), without=["db"])
    plan = plan_up(project, state)
    old = state.of_service("db")[0]
    assert [verb for verb, _ in verbs(plan)] == ["create", "stop", "remove", "rename", "start"]
    assert plan.steps[0].name == f"{old.id[:12]}_p-db-1"
    assert plan.steps[0].inherits == old.id
    assert plan.steps[3].name == "p-db-1"
    assert plan.steps[4].made_by == plan.steps[0].number
    renewed = plan_up(project, state, UpOptions(renew_anonymous_volumes=True))
    assert renewed.steps[0].inherits == ""
    assert plan_up(project, state, UpOptions(recreate="never")).steps == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"labels": {label.IMAGE: "sha256:0"}}, "its image changed"),
        ({"networks": ()}, "it is not on the network default"),
        ({"mounts": ()}, "it does not have the volume data"),
    ],
)
def test_other_reasons_to_make_anew(changes, why):
    project = load("services: {db: {image: i, volumes: ['data:/d']}}\nvolumes: {data: }")
    state = settled(project, container(project, "db", **changes), without=["db"])
    assert plan_up(project, state).steps[0].why == why


def test_a_missing_volume_makes_anew():
    project = load(THREE)
    state = settled(project)._replace(volumes={})
    plan = plan_up(project, state)
    assert before(plan, ("create-volume", "p_data"), ("rename", "p-db-1"))


def test_force_only_what_is_named():
    project = load(THREE)
    plan = plan_up(project, settled(project), UpOptions(recreate="force", targets=("web",)))
    assert {step.service for step in plan.steps} == {"web"}
    everything = UpOptions(recreate="force", recreate_dependencies="force", targets=("web",))
    assert {step.service for step in plan_up(project, settled(project), everything).steps} == {"web", "api", "db"}


def test_who_shares_a_namespace_is_made_anew_too():
    project = load("services: {a: {image: i}, b: {image: i, network_mode: 'service:a'}}")
    changed = container(project, "a", labels={label.CONFIG_HASH: "old"})
    plan = plan_up(project, settled(project, changed, without=["a"]))
    assert ("rename", "p-b-1") in verbs(plan)
    temporary = next(step.name for step in plan.steps if step.verb == "create" and step.service == "b")
    assert before(plan, ("rename", "p-a-1"), ("create", temporary))


def test_restart_true_stops_dependents_first():
    text = "services: {a: {image: i}, b: {image: i, depends_on: {a: {condition: service_started, restart: true}}}}"
    project = load(text)
    changed = container(project, "a", labels={label.CONFIG_HASH: "old"})
    plan = plan_up(project, settled(project, changed, without=["a"]))
    assert before(plan, ("stop", "p-b-1"), ("stop", "p-a-1"))
    assert before(plan, ("start", "p-a-1"), ("start", "p-b-1"))


def test_scaling_up_counts_on_and_down_drops_obsolete_then_highest():
    project = load("services: {a: {image: i, scale: 3}}")
    state = settled(project)
    more = project._replace(services={"a": project.services["a"]._replace(config={"image": "i", "scale": 5})})
    hashes = {label.CONFIG_HASH: service_hash(more.services["a"])}
    state = State(tuple(container(project, "a", n, labels=hashes, networks=()) for n in (1, 2, 3)), state.networks)
    assert [name for verb, name in verbs(plan_up(more, state)) if verb == "create"] == ["p-a-4", "p-a-5"]
    fewer = more._replace(services={"a": project.services["a"]._replace(config={"image": "i", "scale": 1})})
    assert [name for verb, name in verbs(plan_up(fewer, state)) if verb == "remove"] == ["p-a-2", "p-a-3"]
    old = state.containers[0]._replace(labels={**state.containers[0].labels, label.CONFIG_HASH: "old"})
    state = state._replace(containers=(old, *state.containers[1:]))
    assert [name for verb, name in verbs(plan_up(fewer, state)) if verb == "remove"] == ["p-a-3", "p-a-1"]
    none = more._replace(services={"a": project.services["a"]._replace(config={"image": "i", "scale": 0})})
    assert len([1 for verb, _ in verbs(plan_up(none, state)) if verb == "remove"]) == 3


def test_a_name_of_its_own_forbids_scaling():
    project = load("services: {a: {image: i, container_name: x}}")
    service = project.services["a"]
    scaled = project._replace(services={"a": service._replace(config={**service.config, "scale": 2})})
    with pytest.raises(InvalidInput, match="custom container name"):
        plan_up(scaled, State())


def test_orphans_are_told_of_and_removed_when_wanted():
    project = load("services: {a: {image: i}}")
    orphan = ObservedContainer("f" * 64, "p-old-1", {label.SERVICE: "old", label.PROJECT: "p"})
    state = settled(project, orphan)
    assert "p-old-1" in plan_up(project, state).warnings[0]
    assert verbs(plan_up(project, state, UpOptions(remove_orphans=True))) == [
        ("stop", "p-old-1"),
        ("remove", "p-old-1"),
    ]
    assert not plan_up(project, state, UpOptions(known=("old",))).warnings
    assert not plan_up(project, state, UpOptions(ignore_orphans=True)).warnings


def test_a_changed_network_takes_its_containers_along():
    project = load("services: {a: {image: i}}")
    state = settled(project)
    old = ObservedResource("p_default", {label.PROJECT: "p", label.CONFIG_HASH: "old"})
    plan = plan_up(project, state._replace(networks={"p_default": old}))
    names = ["stop", "remove-network", "create-network", "create", "remove", "rename", "start"]
    assert [verb for verb, _ in verbs(plan)] == names
    assert plan.steps[3].inherits == state.containers[0].id  # which is there until the new one has its volumes


def test_what_stands_still_is_started_when_its_network_is_there_again():
    project = load("services: {a: {image: i}}")
    stopped = container(project, "a", status="exited")
    plan = plan_up(project, settled(project)._replace(containers=(stopped,), networks={}))
    assert before(plan, ("create-network", "p_default"), ("start", "p-a-1"))


def cut_off(project, service, *, config_hash=None, number=1, keeps_old=True):
    """The old container and the one that was to replace it, when `up` was killed before the old one was gone."""
    old = container(project, service, number, labels={label.CONFIG_HASH: "old"})
    labels = {label.REPLACE: old.id, **({label.CONFIG_HASH: config_hash} if config_hash else {})}
    new = container(project, service, number, labels=labels, status="created")
    new = new._replace(id="e" * 64, name=f"{old.id[:12]}_p-{service}-{number}")
    return (old, new) if keeps_old else (new,)


def test_a_replacement_that_was_cut_off_is_finished():
    project = load("services: {a: {image: i, scale: 2}}")
    state = settled(project, *cut_off(project, "a"), without=("a",))
    second = container(project, "a", 2, labels={label.CONFIG_HASH: "old"})
    plan = plan_up(project, state._replace(containers=(*state.containers, second)))
    old, new = state.containers
    steps = [(step.verb, step.name, step.container) for step in plan.steps if step.replica == 1]
    assert steps == [
        ("stop", "p-a-1", old.id),
        ("remove", "p-a-1", old.id),
        ("rename", "p-a-1", new.id),
        ("start", "p-a-1", new.id),
    ]
    assert before(plan, ("remove", "p-a-1"), ("rename", "p-a-1"))
    assert before(plan, ("rename", "p-a-1"), ("start", "p-a-1"))
    assert [verb for verb, name in verbs(plan) if name.endswith("p-a-2")] == [
        "create", "stop", "remove", "rename", "start"]  # fmt: skip


def test_a_replacement_that_lost_only_its_name_gets_it():
    project = load("services: {a: {image: i}}")
    plan = plan_up(project, settled(project, *cut_off(project, "a", keeps_old=False), without=("a",)))
    assert verbs(plan) == [("rename", "p-a-1"), ("start", "p-a-1")]


@pytest.mark.parametrize("policy", ["diverged", "force", "never"])
def test_a_replacement_that_is_out_of_date_goes_and_the_old_one_is_replaced(policy):
    project = load("services: {a: {image: i}}")
    old, new = cut_off(project, "a", config_hash="between")
    plan = plan_up(project, settled(project, old, new, without=("a",)), UpOptions(recreate=policy))
    assert plan.steps[0][1:3] == ("remove", new.name)
    rest = [(step.verb, step.inherits) for step in plan.steps[1:]]
    anew = [("create", old.id), ("stop", ""), ("remove", ""), ("rename", ""), ("start", "")]
    assert rest == ([] if policy == "never" else anew)


def test_start_leaves_what_was_to_replace_others():
    project = load("services: {a: {image: i}}")
    old, new = cut_off(project, "a")
    plan = plan_start(project, settled(project, old._replace(status="exited"), new, without=("a",)))
    assert [(step.verb, step.container) for step in plan.steps] == [("start", old.id)]


def test_a_changed_volume_is_kept_and_told_of():
    project = load(THREE)
    old = ObservedResource("p_data", {label.PROJECT: "p", label.CONFIG_HASH: "old"})
    plan = plan_up(project, settled(project)._replace(volumes={"p_data": old}))
    assert plan.steps == ()
    assert "does not match" in plan.warnings[0]


@pytest.mark.parametrize("kind", ["networks", "volumes"])
def test_what_is_external_has_to_be_there(kind):
    use = "networks: [x]" if kind == "networks" else "volumes: ['x:/x']"
    project = load(f"services: {{a: {{image: i, {use}}}}}\n{kind}: {{x: {{external: true}}}}")
    with pytest.raises(NotFound, match="x"):
        plan_up(project, State())
    there = {"x": ObservedResource("x")}
    assert ("create-network", "x") not in verbs(plan_up(project, State(networks=there, volumes=there)))


def test_start_uses_what_there_is():
    project = load(THREE)
    plan = plan_start(project, settled(project, without=["web"], status="exited"))
    assert [step.verb for step in plan.steps] == ["start", "wait", "start"]


def test_down_goes_from_dependents_to_dependencies():
    project = load(THREE)
    state = settled(project)
    plan = plan_down("p", project, state, DownOptions(volumes=True))
    assert before(plan, ("remove", "p-web-1"), ("stop", "p-api-1"))
    assert before(plan, ("remove", "p-db-1"), ("remove-network", "p_default"))
    assert before(plan, ("remove", "p-db-1"), ("remove-volume", "p_data"))
    assert all(step.volumes for step in plan.steps if step.verb == "remove")
    kept = plan_down("p", project, state)
    assert "remove-volume" not in {step.verb for step in kept.steps}
    assert not any(step.volumes for step in kept.steps)


def test_down_without_files_reads_the_labels():
    project = load(THREE)
    plan = plan_down("p", None, settled(project))
    assert before(plan, ("remove", "p-web-1"), ("stop", "p-api-1"))
    assert ("remove-network", "p_default") in verbs(plan)


def test_down_leaves_orphans_external_things_and_what_is_not_named():
    project = load("services: {a: {image: i, networks: [x]}, b: {image: i}}\nnetworks: {x: {external: true}}")
    orphan = ObservedContainer("f" * 64, "p-old-1", {label.SERVICE: "old", label.PROJECT: "p"})
    state = settled(project, orphan)
    assert ("stop", "p-old-1") not in verbs(plan_down("p", project, state))
    assert ("remove", "p-old-1") in verbs(plan_down("p", project, state, DownOptions(remove_orphans=True)))
    assert ("remove-network", "x") not in verbs(plan_down("p", project, state))
    only = verbs(plan_down("p", project, state, DownOptions(services=("a",))))
    assert only == [("stop", "p-a-1"), ("remove", "p-a-1")]


def test_down_removes_images_as_asked():
    project = load("services: {a: {image: i}, b: {build: .}}")
    state = settled(project)._replace(images={"i": IMAGE, "p-b": "sha256:2"})
    images = [name for verb, name in verbs(plan_down("p", project, state, DownOptions(images="local")))]
    assert images[-1] == "p-b"
    assert "i" not in images
    assert "i" in [name for _, name in verbs(plan_down("p", project, state, DownOptions(images="all")))]


def test_stop_and_restart():
    project = load(THREE)
    state = settled(project)
    edges = service_edges(project, state.containers)
    assert before(plan_stop(state.containers, edges), ("stop", "p-web-1"), ("stop", "p-db-1"))
    assert before(plan_restart(state.containers, edges), ("restart", "p-db-1"), ("restart", "p-web-1"))


def test_a_plan_can_be_read():
    assert describe(plan_up(load("services: {a: {image: i}}"), State())) == [
        "Network p_default  Create (it does not exist)",
        "Container p-a-1  Create (it does not exist)",
        "Container p-a-1  Start",
    ]


@st.composite
def graphs(draw):
    names = "abcdef"[: draw(st.integers(1, 6))]
    return {name: draw(st.sets(st.sampled_from(names[:index]))) if index else set() for index, name in enumerate(names)}


@given(graphs(), st.randoms(use_true_random=False))
def test_any_graph_is_planned_in_order(edges, random):
    lines = [f"  {name}: {{image: i, depends_on: [{', '.join(sorted(others))}]}}" for name, others in edges.items()]
    project = load("services:\n" + "\n".join(lines))
    plan = plan_up(project, State())
    for name, others in edges.items():
        for other in others:
            assert before(plan, ("start", f"p-{other}-1"), ("start", f"p-{name}-1"))
    assert plan_up(project, settled(project)).steps == ()
    some = [one for one in settled(project).containers if random.random() < 0.5]
    repaired = plan_up(project, settled(project)._replace(containers=tuple(some)))
    assert {step.name for step in repaired.steps if step.verb == "create"} == {f"p-{name}-1" for name in edges} - {
        one.name for one in some
    }
    assert select(project, []).services == project.services
