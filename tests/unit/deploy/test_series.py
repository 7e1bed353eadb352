import pytest

from wherry.base.paths import Layout
from wherry.deploy.records import open_records
from wherry.deploy.series import WIDTHS, Measured, Point, Series

START = 1_000_000_020  # begins points of 10 and 60 seconds, and one of 300 a bit later


class Clock:
    now = float(START)

    def __call__(self):
        return round(self.now * 1e9)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def series(tmp_path, clock):
    records = open_records(Layout(str(tmp_path), str(tmp_path / "run")), clock)
    yield Series(records.database, clock)
    records.database.close()


def fill(series, clock, seconds, step=10, subject=""):
    """A value each `step` seconds that is the number of the step."""
    begin = clock.now
    for index in range(seconds // step):
        clock.now = begin + index * step
        series.add("shop", subject, "cpu", clock.now, float(index))


def rows(series):
    with series._database.read() as connection:
        return connection.execute("SELECT width, count(*) FROM series GROUP BY width ORDER BY width").fetchall()


def test_values_of_one_time_are_one_point(series, clock):
    for value in (1.0, 4.0, 2.5):
        series.add("shop", "", "cpu", clock.now + 9.9, value)
    assert series.read("shop", "cpu", since=START) == [Point(START, 10, 2.5, 1.0, 4.0, 3)]
    assert series.latest("shop", "cpu") == 2.5


def test_what_is_read_is_as_fine_as_it_reaches_back(series, clock):
    fill(series, clock, 7200)
    recent = series.read("shop", "cpu", since=clock.now - 600)
    assert {one.width for one in recent} == {10}
    assert [one.average for one in recent[-3:]] == [717.0, 718.0, 719.0]
    assert recent[0].time + 10 > clock.now - 600 >= recent[0].time
    minutes = series.read("shop", "cpu", since=START)
    assert {one.width for one in minutes} == {60}
    assert minutes[0] == Point(START, 60, 2.5, 0.0, 5.0, 6)
    assert sum(one.values for one in minutes) == 720
    assert {one.width for one in series.read("shop", "cpu", since=clock.now - 86_401)} == {300}
    assert {one.width for one in series.read("shop", "cpu")} == {300}
    assert {one.width for one in series.read("shop", "cpu", since=clock.now - 600, width=60)} == {60}
    assert sum(one.values for one in series.read("shop", "cpu")) == 720


def test_names_subjects_and_environments_are_apart(series, clock):
    series.add_all(
        [
            Measured("shop", "", "cpu", clock.now, 1.0),
            Measured("shop", "i-1", "cpu", clock.now, 2.0),
            Measured("shop", "", "memory", clock.now, 3.0),
            Measured("blog", "", "cpu", clock.now, 4.0),
        ]
    )
    assert series.latest("shop", "cpu") == 1.0
    assert series.latest("shop", "cpu", "i-1") == 2.0
    assert series.latest("shop", "memory") == 3.0
    assert series.latest("blog", "cpu") == 4.0
    assert series.latest("blog", "cpu", "i-1") is None


def test_the_latest_is_no_old_one(series, clock):
    series.add("shop", "", "cpu", clock.now, 1.0)
    clock.now += 69
    assert series.latest("shop", "cpu", within=60) == 1.0
    clock.now += 1
    assert series.latest("shop", "cpu", within=60) is None


def test_it_never_takes_more_than_its_room(series, clock):
    fill(series, clock, 2 * 86_400, 60)
    fill(series, clock, 86_400 * 7, 300)
    fill(series, clock, 7200)
    clock.now += 10_000
    series.add("shop", "", "cpu", clock.now, 1.0)
    for width, count in rows(series):
        assert count <= WIDTHS[width] // width + 1
    assert dict(rows(series))[10] == 1
    assert min(one.time for one in series.read("shop", "cpu")) >= clock.now - WIDTHS[300] - 300


def test_an_instances_points_are_gone_after_a_day(series, clock):
    fill(series, clock, 3600, subject="i-1")
    assert [width for width, _ in rows(series)] == [10, 60]
    clock.now += 2 * 86_400
    series.add("shop", "", "cpu", clock.now, 1.0)
    assert series.read("shop", "cpu", "i-1") == []
    assert [count for _, count in rows(series)] == [1, 1, 1]


def test_one_turn_is_one_transaction(series, clock):
    with pytest.raises(Exception, match=r"NOT NULL|datatype"):
        series.add_all([Measured("shop", "", "cpu", clock.now, 1.0), Measured("shop", "", "cpu", clock.now, None)])
    assert rows(series) == []
