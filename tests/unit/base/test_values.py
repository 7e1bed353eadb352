import typing

import pytest

from wherry.base.values import NamedTuple


class Point(NamedTuple):
    """Where."""

    x: int
    y: int = 2
    label: str = ""

    @property
    def total(self) -> int:
        return self.x + self.y

    @classmethod
    def origin(cls) -> "Point":
        return cls(0, 0)


class TypingPoint(typing.NamedTuple):
    x: int
    y: int = 2
    label: str = ""


def test_behaves_as_the_one_of_typing() -> None:
    ours, theirs = Point(1, label="a"), TypingPoint(1, label="a")
    assert ours == theirs == (1, 2, "a")
    assert ours._fields == theirs._fields
    assert ours._asdict() == theirs._asdict()
    assert Point._field_defaults == TypingPoint._field_defaults
    assert repr(ours) == repr(theirs).replace("TypingPoint", "Point")
    assert hash(ours) == hash(theirs)


def test_methods_properties_and_the_docstring_stay() -> None:
    assert Point(3).total == 5
    assert Point.origin() == (0, 0, "")
    assert Point.__doc__ == "Where."
    assert Point.__module__ == __name__
    assert Point(1)._replace(y=7).y == 7


def test_a_missing_field_is_an_error() -> None:
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]
