"""Identifiers and names for containers that were given none."""

from __future__ import annotations

import os

__all__ = ["check_name", "generate_name", "new_id"]

_ADJECTIVES = (
    "able amber ample apt bold brave brisk bright broad calm candid civil clear clever cosy crisp deft eager early "
    "even fair fast fine firm fleet fond frank fresh gentle glad grand great hale handy happy hardy keen kind light "
    "lively loyal lucid lucky mellow merry mild modest neat nimble noble patient plain polite prime proper proud "
    "quick quiet ready royal sage sharp sleek smart smooth snug sober solid sound spry stable steady still stout "
    "sturdy sunny sure swift tidy trim true trusty upbeat vivid warm wise witty worthy young zesty"
).split()
_NOUNS = (
    "anchor barge bay beacon berth boat bosun bow brig buoy cabin canal canoe capstan captain cargo channel clipper "
    "coast compass cove crane crew current cutter deck delta dinghy dock dory drift estuary ferry fjord fleet ford "
    "galley gangway gull harbour haven heron hull inlet island jetty kayak keel ketch lagoon lantern ledger lighter "
    "lighthouse lock lugger marina mast mooring oar osprey otter paddle pier pilot port punt quay raft reef rigging "
    "river rudder sail schooner seal shoal skiff skipper sloop spar stern swan tern tide tiller towpath trawler tug "
    "wharf wake weir yacht yawl"
).split()
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def new_id() -> str:
    """64 hexadecimal digits, as Docker's container identifiers; never all decimal in its first twelve."""
    while True:
        identifier = os.urandom(32).hex()
        if not identifier[:12].isdigit():
            return identifier


def generate_name() -> str:
    """Two words; the caller makes it unique by asking again or appending a digit."""
    first, second = os.urandom(2)
    return f"{_ADJECTIVES[first % len(_ADJECTIVES)]}_{_NOUNS[second % len(_NOUNS)]}"


def check_name(name: str) -> str:
    """`name` without a leading slash. Raises InvalidInput in Docker's words where a name may not look like that."""
    from wherry.base.errors import InvalidInput

    bare = name.removeprefix("/")
    if len(bare) < 2 or not bare[0].isalnum() or not bare.isascii() or not _ALLOWED.issuperset(bare):
        raise InvalidInput(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            hint="use at least two letters, digits, `_`, `.` or `-`, beginning with a letter or digit",
        )
    return bare
