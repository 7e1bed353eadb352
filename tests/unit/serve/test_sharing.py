"""Looking once for everybody."""

import threading

import pytest

from wherry.serve.sharing import Moment


def test_an_answer_is_kept_for_a_moment():
    now, asked = [0.0], []
    moment = Moment(1.5, lambda: now[0])

    def ask(question="a"):
        return moment.get(question, lambda: asked.append(question) or len(asked))

    assert [ask(), ask(), ask("b")] == [1, 1, 2]
    now[0] = 1.5
    assert ask() == 3
    moment.forget()
    assert ask() == 4


def test_those_who_ask_at_the_same_time_ask_once():
    moment, asked, go = Moment(9.0, lambda: 0.0), [], threading.Event()
    found = []

    def find():
        asked.append(1)
        go.wait(10)
        return "it"

    threads = [threading.Thread(target=lambda: found.append(moment.get("a", find))) for _ in range(8)]
    for one in threads:
        one.start()
    go.set()
    for one in threads:
        one.join(10)
    assert (found, asked) == (["it"] * 8, [1])


def test_an_error_is_not_kept():
    moment = Moment(9.0, lambda: 0.0)

    def fail():
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        moment.get("a", fail)
    assert moment.get("a", lambda: 1) == 1
