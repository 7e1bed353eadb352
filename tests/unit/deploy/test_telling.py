"""What events say of deployments: which version, in place of which, whether it succeeded, and what runs now."""

import pytest
from tests.unit.deploy.test_environments import House

from wherry.base.errors import OperationFailed
from wherry.base.progress import Started
from wherry.deploy.environments import Environments


@pytest.fixture
def shop(tmp_path):
    house = House(tmp_path)
    house.create()
    return house


def events(house):
    return [(one.severity, one.message, one.version, one.deployment) for one in house.records.history.events("shop")]


def fails(house, call):
    """The events of it; the last one is what the command says, too."""
    before = len(events(house))
    with pytest.raises(OperationFailed) as caught:
        call()
    found = events(house)[before:]
    assert found[-1][1] == caught.value.message
    return found


def test_a_launch(shop):
    assert events(shop) == [
        ("INFO", "Launch (deployment 1) of version v1, begun by me.", "v1", 1),
        ("INFO", "Launch (deployment 1) of version v1 succeeded in 2s. Version v1 runs on 2 instances.", "v1", 1),
    ]


def test_a_launch_that_fails(tmp_path):
    house = House(tmp_path)
    house.world.fails.add(house.version())
    words = "i-1 exited with code 1"
    assert [one[:2] for one in fails(house, lambda: house.create(version="v1"))][1:] == [
        ("WARN", f"Launch (deployment 1) of version v1 is taken back: web of {words}."),
        (
            "ERROR",
            f"Launch (deployment 1) of version v1 failed and was taken back: web of {words}. No version runs.",
        ),
    ]


def test_a_deployment_and_a_rollback(shop):
    shop.environments.deploy("shop", shop.version(), policy="immutable")
    assert [one[1] for one in events(shop)[-2:]] == [
        "Deployment 2 of version v2, in place of v1, immutable, begun by me.",
        "Deployment 2 of version v2, in place of v1, succeeded in 2s. Version v2 runs on 2 instances.",
    ]
    shop.environments.rollback("shop")
    assert events(shop)[-1][1] == (
        "Rollback (deployment 3) of version v1, in place of v2, succeeded in 2s. Version v1 runs on 2 instances."
    )


def test_a_deployment_that_fails_names_what_failed_what_ran_and_what_runs(shop):
    label = shop.version(release="migrate")
    shop.world.release_codes[label] = 3
    cause = "the release step ended with exit code 3: releasing"
    assert fails(shop, lambda: shop.environments.deploy("shop", label)) == [
        ("INFO", "Deployment 2 of version v2, in place of v1, rolling-additional, begun by me.", "v2", 2),
        (
            "WARN",
            f"Deployment 2 of version v2, in place of v1, is taken back: {cause}. Version v1 is brought back.",
            *("v2", 2),
        ),
        (
            "ERROR",
            (
                f"Deployment 2 of version v2, in place of v1, failed and was taken back: {cause}."
                " Version v1 runs on 2 instances."
            ),
            *("v2", 2),
        ),
    ]


def test_a_deployment_that_is_left_as_it_failed(shop):
    shop.environments.configure("shop", settings={"rollback": "off"})
    label = shop.version()
    shop.world.fails.add(label)
    found = fails(shop, lambda: shop.environments.deploy("shop", label, policy="rolling", batch="1"))
    assert found[-1][:2] == (
        "ERROR",
        (
            "Deployment 2 of version v2, in place of v1, failed: web of i-3 exited with code 1."
            " Version v1 runs on 1 instance."
        ),
    )


def test_a_deployment_that_ends_with_both_versions(shop):
    shop.environments.configure("shop", settings={"rollback": "off"})
    label = shop.version()
    found = fails(shop, lambda: failing_at(shop, "i-4", label).deploy("shop", label))
    assert found[-1][1] == (
        "Deployment 2 of version v2, in place of v1, failed: web of i-4 exited with code 1."
        " There run version v1 on 1 instance and version v2 on 1 instance."
    )


def test_an_abort(shop):
    label = shop.version()

    def pause(seconds):
        shop.world.pause(seconds)
        Environments(shop.parts, "you").abort("shop")

    found = fails(shop, lambda: Environments(shop.parts._replace(pause=pause), "me").deploy("shop", label))
    assert found[-1][1] == (
        "Deployment 2 of version v2, in place of v1, was aborted and was taken back: you aborted it."
        " Version v1 runs on 2 instances."
    )


def test_a_change_of_variables_names_its_version_once(shop):
    shop.environments.configure("shop", variables={"A": "1"})
    assert [one[1] for one in events(shop)[-2:]] == [
        "Configuration change (deployment 2) of version v1, rolling-additional, begun by me.",
        "Configuration change (deployment 2) of version v1 succeeded in 2s. Version v1 runs on 2 instances.",
    ]


def test_a_change_of_variables_that_holds_for_some_instances_alone(shop):
    shop.environments.configure("shop", settings={"rollback": "off"})
    environments = failing_at(shop, "i-4", "v1")
    found = fails(shop, lambda: environments.configure("shop", variables={"A": "1"}))
    assert found[-1][1] == (
        "Configuration change (deployment 2) of version v1 failed: web of i-4 exited with code 1."
        " Version v1 runs on 2 instances: on 1 as of deployment 1, on 1 as of deployment 2."
    )


def test_what_is_no_deployment_names_none(shop):
    shop.environments.restart("shop")
    shop.environments.scale("shop", 3)
    shop.environments.terminate("shop")
    said = [one[1] for one in events(shop)]
    assert "Restart begun by me." in said
    assert "Change of size succeeded in 1s. Version v1 runs on 3 instances." in said
    assert said[-1].startswith("Termination succeeded in ")
    assert said[-1].endswith(" Nothing of it runs.")


def failing_at(house, instance, label):
    """Whoever deploys a version that starts well but for one instance."""

    def hear(event):
        house.world.fails.discard(label)
        if isinstance(event, Started) and event.title.startswith(f"Start instance {instance} "):
            house.world.fails.add(label)

    return Environments(house.parts, "me", hear)
