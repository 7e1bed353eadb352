"""IAM's rules: wildcards, Deny wins, what nothing allows is denied."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import InvalidInput
from wherry.registry.iam import allows, denies, parse_policy

ARN = "arn:aws:ecr:us-east-1:123456789012:repository/"


def policy(*statements, **more):
    return parse_policy(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}), **more)


def allow(actions, resources="*", **more):
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def may(statements, action, resource, principal=""):
    return not denies(statements, action, resource, principal) and allows(statements, action, resource, principal)


def test_the_policy_of_the_tutorials():
    own = policy(
        allow(["ecr:CreateRepository", "ecr:GetAuthorizationToken"]),
        allow("ecr:*", "arn:aws:ecr:*:123456789012:repository/*"),
    )
    assert may(own, "ecr:CreateRepository", ARN + "app")
    assert may(own, "ecr:GetAuthorizationToken", "*")
    assert may(own, "ecr:PutImage", ARN + "team/app")
    assert not may(own, "ecr:PutImage", "arn:aws:ecr:us-east-1:999999999999:repository/app")
    assert not may(own, "s3:GetObject", ARN + "app")


@pytest.mark.parametrize(
    ("action", "asked", "fits"),
    [
        ("ecr:*", "ecr:PutImage", True),
        ("ECR:putimage", "ecr:PutImage", True),
        ("ecr:Batch*", "ecr:BatchGetImage", True),
        ("ecr:Batch*", "ecr:PutImage", False),
        ("ecr:Put?mage", "ecr:PutImage", True),
        ("*", "ecr:PutImage", True),
        ("ecr.PutImage", "ecr:PutImage", False),
        ("ecr:Put[IJ]mage", "ecr:PutImage", False),
    ],
)
def test_wildcards_in_actions(action, asked, fits):
    assert may(policy(allow(action)), asked, ARN + "x") == fits


def test_deny_wins_whatever_the_order():
    deny = {"Effect": "Deny", "Action": "ecr:BatchDeleteImage", "Resource": ARN + "prod/*"}
    for statements in ((deny, allow("ecr:*")), (allow("ecr:*"), deny)):
        own = policy(*statements)
        assert not may(own, "ecr:BatchDeleteImage", ARN + "prod/app")
        assert may(own, "ecr:BatchDeleteImage", ARN + "dev/app")


def test_inverted_lists():
    own = policy({"Effect": "Allow", "NotAction": "ecr:Delete*", "NotResource": [ARN + "secret"]})
    assert may(own, "ecr:PutImage", ARN + "x")
    assert not may(own, "ecr:DeleteRepository", ARN + "x")
    assert not may(own, "ecr:PutImage", ARN + "secret")


def test_principals_of_a_repository_policy():
    user = "arn:aws:iam::123456789012:user/ci"
    for principal, fits in (
        ("*", True),
        ({"AWS": "*"}, True),
        ({"AWS": user}, True),
        ({"AWS": ["arn:aws:iam::123456789012:user/other"]}, False),
        ({"AWS": "123456789012"}, True),
        ({"AWS": "arn:aws:iam::123456789012:root"}, True),
        ({"AWS": "arn:aws:iam::999999999999:root"}, False),
    ):
        shared = policy({"Effect": "Allow", "Principal": principal, "Action": "ecr:*"}, resource_policy=True)
        assert may(shared, "ecr:PutImage", ARN + "x", user) == fits, principal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"Statement": [1]}',
        '{"Statement": [{"Effect": "Maybe", "Action": "*", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Allow", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": [], "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Efect": 1}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"a": "b"}}}]}',
        '{"Version": "2020-01-01", "Statement": []}',
        "[" * 100_000,
    ],
)
def test_what_is_not_understood_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_policy(text)


@given(st.text(alphabet="ab*?.", max_size=8), st.text(alphabet="ab.", max_size=8))
def test_wildcards_are_the_shells(pattern, text):
    from fnmatch import fnmatchcase

    assert may(policy(allow("a:a", pattern or "*")), "a:a", text) == fnmatchcase(text, pattern or "*")
