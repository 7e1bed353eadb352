import time

from wherry.layer.times import DirectoryTimes


def test_directories_come_after_those_in_them():
    times = DirectoryTimes()
    times.put(b"", 1)
    times.put(b"a/b/c", 2)
    times.put(b"a", 3)
    times.put(b"a", 4)
    assert list(times.deepest_first()) == [(b"a/b/c", 2), (b"a", 4), (b"", 1)]


def test_a_dropped_directory_takes_those_in_it_along():
    times = DirectoryTimes()
    for name in (b"a", b"a/b", b"ab", b"c/d"):
        times.put(name, 1)
    times.drop(b"a")
    times.drop(b"missing/too")
    assert {name for name, _ in times.deepest_first()} == {b"ab", b"c/d"}
    times.put(b"a", 2)
    assert (b"a", 2) in list(times.deepest_first())


def test_dropping_one_of_many_costs_no_look_at_the_others():
    times = DirectoryTimes()
    for number in range(20_000):
        times.put(b"kept%d" % number, 1)
    started = time.process_time()
    for _ in range(20_000):
        times.put(b"turn", 1)
        times.drop(b"turn")
    assert time.process_time() - started < 2  # 400 million comparisons would take a minute
