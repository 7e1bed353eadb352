import pytest

from wherry.base.errors import InvalidInput
from wherry.dockerfile.modes import change_mode, check_mode


@pytest.mark.parametrize(
    ("text", "mode", "is_directory", "expected"),
    [
        ("", 0o640, False, 0o640),
        ("755", 0, False, 0o755),
        ("4711", 0, False, 0o4711),
        ("u=rwX,go=rX", 0o600, False, 0o644),
        ("u=rwX,go=rX", 0o700, True, 0o755),
        ("u=rwX,go=rX", 0o700, False, 0o755),
        ("a-w", 0o666, False, 0o444),
        ("+x", 0o644, False, 0o755),
        ("g=u", 0o640, False, 0o660),
        ("u+s,o+t", 0o755, True, 0o5755),
        ("u=", 0o4755, False, 0o055),
        ("u+r-w", 0o200, False, 0o400),
    ],
)
def test_every_form_is_chmods(text, mode, is_directory, expected):
    check_mode(text) if text else None
    assert change_mode(text, mode, is_directory=is_directory) == expected


@pytest.mark.parametrize("text", ["8", "77777", "x", "u", "u=q", "u=r,", "-1"])
def test_mistakes(text):
    with pytest.raises(InvalidInput, match="invalid chmod parameter"):
        check_mode(text)
