import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import InvalidInput
from wherry.deploy.codes import status_prefixes


@pytest.mark.parametrize(
    ("codes", "prefixes"),
    [
        ("200", ("200",)),
        ("200-299", ("2",)),
        ("200-399", ("2", "3")),
        ("200-209,401", ("20", "401")),
        ("299-300", ("299", "300")),
        ("200, 204", ("200", "204")),
    ],
)
def test_the_fewest_prefixes(codes, prefixes):
    assert status_prefixes(codes) == prefixes


@pytest.mark.parametrize(
    "codes", ["", "20", "200-", "300-200", "500", "200-599", "199", "2xx", "200;", "200 300", "٢٠٠"]
)
def test_what_is_no_list_of_codes_is_refused(codes):
    with pytest.raises(InvalidInput, match="health check"):
        status_prefixes(codes)


@given(st.lists(st.tuples(st.integers(200, 499), st.integers(0, 150)), min_size=1, max_size=5))
def test_they_cover_exactly_the_codes(ranges):
    wanted = {code for first, more in ranges for code in range(first, min(first + more, 499) + 1)}
    prefixes = status_prefixes(",".join(f"{first}-{min(first + more, 499)}" for first, more in ranges))
    covered = {code for code in range(100, 600) if any(str(code).startswith(prefix) for prefix in prefixes)}
    assert covered == wanted
    assert len(set(prefixes)) == len(prefixes)
