"""One holder at a time; the others are told after a while that they wait."""

import threading

from wherry.compose import holding


def test_a_second_holder_waits_for_the_first_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(holding, "PATIENCE", 0.0)
    path, told, order = str(tmp_path / "locks" / "compose-p"), threading.Event(), []

    def second():
        with holding.held(path, told.set) as waited:
            order.append(f"second, waited: {waited}")

    with holding.held(path, lambda: order.append("never told")) as waited:
        other = threading.Thread(target=second)
        other.start()
        assert told.wait(10)
        order.append(f"first, waited: {waited}")
    other.join(10)
    assert order == ["first, waited: False", "second, waited: True"]
    assert not (tmp_path / "locks" / "compose-p").exists()


def test_a_holder_that_fails_lets_go(tmp_path):
    path = str(tmp_path / "lock")
    for _ in range(2):
        try:
            with holding.held(path, lambda: None) as waited:
                assert not waited
                raise KeyError
        except KeyError:
            continue
