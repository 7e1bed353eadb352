"""How requests to an authority are repeated."""

import pytest
from acme import messages

from wherry.deploy.issuing import persistent


def refusing(times, code):
    """A request that is refused so often, and says how often it was sent."""

    def post(url, **named):
        post.sent.append((url, named))
        if len(post.sent) <= times:
            raise messages.Error.with_code(code)
        return "accepted"

    post.sent = []
    return post


def test_a_refused_nonce_is_replaced_until_one_is_accepted():
    post = refusing(4, "badNonce")
    assert persistent(post)("/order", data="x") == "accepted"
    assert post.sent == [("/order", {"data": "x"})] * 5


def test_an_authority_that_takes_no_nonce_is_given_up():
    post = refusing(100, "badNonce")
    with pytest.raises(messages.Error, match="badNonce"):
        persistent(post)("/order")
    assert len(post.sent) == 5


def test_any_other_refusal_is_final():
    post = refusing(1, "rateLimited")
    with pytest.raises(messages.Error, match="rateLimited"):
        persistent(post)("/order")
    assert len(post.sent) == 1
