from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.deploy.plan import (
    FULL,
    Member,
    converge,
    plan_deployment,
    plan_rebuild,
    plan_restart,
    plan_swap,
    plan_termination,
    split_weights,
)
from wherry.deploy.settings import POLICIES
from wherry.deploy.steps import Check, Enter, Evaluate, Leave, RunRelease, Settle, Start, Stop, sentences
from wherry.deploy.wish import Wish

SIZES = st.integers(1, 7)


class World:
    """What steps do, on values. `low` is the least capacity seen, `mixed` whether two revisions served at once."""

    def __init__(self, members):
        self.members = {one.name: one for one in members}
        self.checked = set()
        self.settled = None
        self.low = self.capacity
        self.most = len(self.members)
        self.mixed = False

    @property
    def capacity(self):
        return sum(1 for one in self.members.values() if one.serves and one.usable)

    def do(self, step):
        if isinstance(step, Start):
            assert step.instance not in self.members
            self.members[step.instance] = Member(step.instance, step.revision)
        elif isinstance(step, Check):
            assert self.members[step.instance].running
            self.checked.add(step.instance)
        elif isinstance(step, Enter):
            for name, weight in step.weights:
                was = self.members[name]
                assert was.weight or name in self.checked, f"{name} enters without having been checked"
                self.members[name] = was._replace(weight=weight, draining=False)
        elif isinstance(step, Leave):
            for name in step.instances:
                self.members[name] = self.members[name]._replace(weight=0, draining=False)
        elif isinstance(step, Stop):
            assert not self.members[step.instance].weight, f"{step.instance} stops while it serves"
            del self.members[step.instance]
        elif isinstance(step, Settle):
            self.settled = step
        self.low = min(self.low, self.capacity)
        self.most = max(self.most, len(self.members))
        self.mixed |= len({one.revision for one in self.members.values() if one.serves}) > 1

    def run(self, steps):
        for step in steps:
            self.do(step)
        return self


def flat(plan):
    return [step for stage in plan.stages for step in stage]


def old(count):
    return [Member(f"i-{number}", 1, FULL) for number in range(1, count + 1)]


def wish_of(size, policy="rolling", batch=1, **values):
    return Wish(2, "v2", size, 1, "v1", size, 2, policy, batch, **values)


def is_at_rest(world, revision, size):
    return (
        len(world.members) == size
        and all(one.revision == revision and one.weight == FULL and one.serves for one in world.members.values())
        and (world.settled.revision, world.settled.size) == (revision, size)
    )


@given(st.sampled_from(POLICIES), SIZES, st.integers(1, 7))
def test_every_policy_keeps_what_it_promises(policy, size, batch):
    batch = min(batch, size)
    world = World(old(size)).run(flat(plan_deployment(wish_of(size, policy, batch), old(size), size + 1)))
    assert is_at_rest(world, 2, size)
    promised = {"all-at-once": 0, "rolling": size - batch}.get(policy, size)
    assert world.low == promised
    most = {"all-at-once": size, "rolling": size, "rolling-additional": size + batch}.get(policy, 2 * size)
    assert world.most == most
    assert world.mixed == (policy != "all-at-once" and not (policy == "rolling" and batch == size))


@given(st.sampled_from(POLICIES), SIZES, st.integers(1, 7), st.data())
@settings(max_examples=300)
def test_the_way_back_from_every_point_ends_with_the_old_version(policy, size, batch, data):
    steps = flat(plan_deployment(wish_of(size, policy, min(batch, size)), old(size), size + 1))
    cut = data.draw(st.integers(0, len(steps)))
    world = World(old(size)).run(steps[:cut])
    drained = data.draw(st.booleans())
    if drained and cut < len(steps) and isinstance(steps[cut], Leave):  # cut off while requests end
        for name in steps[cut].instances:
            world.members[name] = world.members[name]._replace(draining=True)
    before = world.capacity
    back = World(world.members.values())
    back.run(flat(converge(Wish(1, "v1", size), list(world.members.values()), 50)))
    assert is_at_rest(back, 1, size)
    assert back.low >= min(before, size)


@given(
    st.lists(st.builds(Member, st.just("x"), st.integers(1, 3), st.integers(0, 200), *[st.booleans()] * 3), max_size=9),
    SIZES,
)
def test_from_anywhere_to_the_wanted_size(members, size):
    members = [one._replace(name=f"i-{number}") for number, one in enumerate(members)]
    world = World(members)
    before = world.capacity
    world.run(flat(converge(Wish(2, "v2", size), members, 50)))
    assert is_at_rest(world, 2, size)
    assert world.low >= min(before, size)


@given(st.sampled_from(POLICIES), SIZES, SIZES, st.data())
def test_a_deployment_that_was_cut_off_can_be_planned_anew(policy, size, batch, data):
    wish = wish_of(size, policy, min(batch, size))
    steps = flat(plan_deployment(wish, old(size), size + 1))
    world = World(old(size)).run(steps[: data.draw(st.integers(0, len(steps)))])
    again = World(world.members.values())
    again.run(flat(plan_deployment(wish, list(world.members.values()), 50)))
    assert {one.revision for one in again.members.values()} == {2}
    assert is_at_rest(again, 2, size)


@given(SIZES, SIZES, st.integers(1, 99))
def test_split_weights_give_the_percentage(count_old, count_new, percent):
    heavy, light = split_weights(count_old, count_new, percent)
    assert 1 <= heavy <= 256
    assert 1 <= light <= 256
    share = 100 * count_new * light / (count_old * heavy + count_new * light)
    assert abs(share - percent) < 1.7


@given(SIZES, st.integers(1, 7))
def test_a_restart_lacks_one_batch_at_most(size, batch):
    world = World(old(size)).run(flat(plan_restart(wish_of(size, batch=batch), old(size))))
    assert world.low == max(0, size - batch)
    assert len(world.members) == world.capacity == size


def test_a_dead_instance_is_replaced_before_it_leaves():
    members = [*old(2), Member("i-3", 1, FULL, running=False)]
    plan = converge(Wish(1, "v1", 3), members, 4)
    assert [type(step).__name__ for step in flat(plan)] == [
        *("EnsureBalancer", "Start", "Check", "Enter", "Leave", "Stop", "Settle")
    ]
    assert plan.started == 1


def test_what_comes_before_the_first_instance():
    wish = wish_of(1, accessories=True, predeploy=True, release=True, postdeploy=True)
    names = [type(step).__name__ for step in flat(plan_deployment(wish, [], 1))]
    assert names == [
        *("EnsureBalancer", "EnsureAccessories", "RunHooks", "RunRelease", "Start", "Check", "Enter", "RunHooks"),
        "Settle",
    ]


def test_a_trial_is_watched_before_everything_goes_to_the_new_version():
    steps = flat(plan_deployment(wish_of(2, "traffic-splitting", percent=10.0), old(2), 3))
    position = next(index for index, step in enumerate(steps) if isinstance(step, Evaluate))
    assert steps[position - 1] == Enter((("i-1", 9), ("i-2", 9), ("i-3", 1), ("i-4", 1)))
    assert not any(isinstance(step, Leave) for step in steps[:position])


def test_the_end_takes_everything_away():
    world = World(old(2)).run(flat(plan_termination(Wish(), old(2))))
    assert world.members == {}


def test_a_rebuild_has_new_instances():
    world = World(old(2)).run(flat(plan_rebuild(Wish(1, "v1", 2), old(2), 3)))
    assert set(world.members) == {"i-3", "i-4"}


def test_a_swap_is_one_step():
    plan = plan_swap(Wish(hosts=(("blue", "x"), ("green", "y"))))
    assert sentences(plan.stages) == [
        "1. Have the load balancer run.",
        "2. Give blue the host x and green the host y, in one moment.",
    ]


def test_a_plan_reads_as_sentences():
    plan = plan_deployment(wish_of(1, "rolling-additional", release=True), old(1), 2)
    assert sentences(plan.stages) == [
        "1. Have the load balancer run.",
        "2. Run the release step of version v2.",
        "3. Start instance i-2 with version v2.",
        "4. Wait until i-2 is healthy.",
        "5. Let i-2 get requests.",
        "6. Take i-1 out of the load balancer, and let requests under way end.",
        "7. Stop i-1.",
        "8. Make 1 instance of version v2 what the environment is.",
    ]
    assert RunRelease(2, "v2") in flat(plan)
