"""Which proxy, if any, leads to a host."""

import pytest

from wherry.base.errors import InvalidInput, Unsupported
from wherry.transfer.proxies import Proxy, find_proxy, is_loopback


def test_names_that_look_like_loopback_are_not():
    assert all(map(is_loopback, ("127.0.0.1:5000", "localhost", "LOCALHOST:1", "[::1]:5000", "127.8.8.8")))
    assert not any(map(is_loopback, ("127.evil.example", "127.0.0.1.evil.example:80", "registry:5000", "[x", "")))


@pytest.mark.parametrize(
    ("scheme", "environ", "expected"),
    [
        ("https", {"HTTPS_PROXY": "http://proxy:3128"}, Proxy("proxy:3128")),
        ("https", {"https_proxy": "proxy:3128"}, Proxy("proxy:3128")),
        ("https", {"HTTP_PROXY": "http://proxy:3128"}, None),
        ("http", {"HTTP_PROXY": "http://proxy"}, Proxy("proxy:80")),
        ("https", {"HTTPS_PROXY": "http://u%40x:p%3Aw@[::1]:8"}, Proxy("[::1]:8", "Basic dUB4OnA6dw==")),
        ("https", {"HTTPS_PROXY": ""}, None),
    ],
)
def test_the_proxy_of_a_scheme(scheme, environ, expected):
    assert find_proxy(scheme, "reg.example", environ) == expected


@pytest.mark.parametrize(
    ("host", "exempt", "direct"),
    [
        ("reg.example", "reg.example", True),
        ("sub.reg.example", "reg.example", True),
        ("xreg.example", "reg.example", False),
        ("reg.example", ".reg.example", False),
        ("sub.reg.example", ".reg.example", True),
        ("sub.reg.example", "*.reg.example", True),
        ("reg.example:5000", "reg.example:5000", True),
        ("reg.example:5001", "reg.example:5000", False),
        ("reg.example", "reg.example:443", True),
        ("10.1.2.3:5000", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("[2001:db8::1]:5000", "2001:db8::/32", True),
        ("anything", "*", True),
        ("reg.example", "other, REG.example ,", True),
        ("127.0.0.1:5000", "", True),
        ("localhost:5000", "", True),
    ],
)
def test_who_is_reached_directly(host, exempt, direct):
    found = find_proxy("https", host, {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": exempt})
    assert (found is None) == direct


def test_proxies_that_are_not_spoken_to_are_refused():
    with pytest.raises(Unsupported, match="socks5"):
        find_proxy("https", "reg.example", {"HTTPS_PROXY": "socks5://proxy:1"})
    with pytest.raises(InvalidInput):
        find_proxy("https", "reg.example", {"HTTPS_PROXY": "http://proxy:port"})
