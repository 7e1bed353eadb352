from wherry.deploy.tail import Tail


def test_it_passes_all_on_and_keeps_the_last_lines():
    said = bytearray()
    tail = Tail(said.extend)
    for piece in (b"one\ntw", b"o\n three \n", b"\n"):
        tail(piece)
    assert bytes(said) == b"one\ntwo\n three \n\n"
    assert (tail.last(1), tail.last(2), tail.last(9)) == ("three", "two / three", "one / two / three")


def test_nothing_said_is_nothing_kept_and_much_is_bounded():
    tail = Tail()
    assert tail.last(3) == ""
    tail(b"x" * 10_000)
    assert tail.last(1) == "x" * 4096
