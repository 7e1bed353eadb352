"""Rows of an earlier Wherry are read as they are, with what they could not know left at nothing."""

from wherry.base.paths import Layout
from wherry.engine import records
from wherry.engine.records import ContainerRecords
from wherry.store import Database


def test_a_database_from_before_health_checks(tmp_path):
    layout = Layout(str(tmp_path / "root"), str(tmp_path / "run"))
    earlier = Database(layout.database)
    earlier.migrate("engine", records._MIGRATIONS[:1])
    with earlier.write() as connection:
        connection.execute(
            "INSERT INTO containers (id, name, image, image_id, chain_id, request, created, status, restart_count)"
            " VALUES ('a', 'n', 'i', 'x', 'c', '{\"image\": \"i\"}', 1, 'running', 4)"
        )
    earlier.close()
    found = ContainerRecords(Database(layout.database), layout)
    state = found.get("a").state
    assert (state.status, state.restart_count, state.restart_delay) == ("running", 4, 0)
    assert (state.health, state.health_streak) == ("", 0)
    assert found.unsettled() == [("a", "running", "")]
    assert found.health.runs() == []
