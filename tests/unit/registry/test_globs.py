"""Patterns fit what the same regular expression fits, and none takes long."""

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.registry import iam
from wherry.registry.ecr.lifecycle import Candidate, expired, parse_lifecycle
from wherry.registry.globs import fits

HOSTILE = "*a" * 40 + "b"
LONG = "a" * 128


@given(st.text("ab*?", max_size=8), st.text("ab*?", max_size=12))
def test_it_is_as_the_regular_expression(pattern, text):
    expression = "".join({"*": ".*", "?": "."}.get(letter) or re.escape(letter) for letter in pattern)
    assert fits(pattern, text) == (re.fullmatch(expression, text) is not None)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"), [("", "", True), ("*", "", True), ("?", "", False), ("", "a", False)]
)
def test_edges(pattern, text, expected):
    assert fits(pattern, text) is expected


def in_time(action):
    begun = time.process_time()
    result = action()
    assert time.process_time() - begun < 1
    return result


def test_no_policy_holds_up_the_server():
    document = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": HOSTILE}]}
    statements = iam.parse_policy(json.dumps(document))
    assert not in_time(lambda: iam.allows(statements, "ecr:PutImage", LONG))
    rule = {
        "rulePriority": 1,
        "selection": {
            "tagStatus": "tagged",
            "tagPatternList": ["*a*a*a*a*b"],
            "countType": "imageCountMoreThan",
            "countNumber": 1,
        },
        "action": {"type": "expire"},
    }
    rules = parse_lifecycle(json.dumps({"rules": [rule]}))
    images = [Candidate(f"sha256:{number:064}", (LONG,), number) for number in range(100)]
    assert in_time(lambda: expired(rules, images, 0)) == []
