"""Logs of what is gone."""

import os

from wherry.deploy.local.archive import LogArchive


def test_a_log_stays_when_its_container_is_gone_and_the_oldest_go_first(tmp_path):
    archive = LogArchive(f"{tmp_path}/logs", limit=25)
    for number in (1, 2, 3):
        log = tmp_path / f"log{number}"
        log.write_text(f"line of {number}\n")
        archive.keep(f"i-{number}", "web", f"{number}" * 64, str(log))
        archive.keep(f"i-{number}", "web", f"{number}" * 64, str(log))
        log.unlink()
        os.utime(f"{tmp_path}/logs/i-{number}", (number, number))
    archive.keep("i-4", "web", "4" * 64, f"{tmp_path}/never-was")
    os.utime(f"{tmp_path}/logs/i-4", (4, 4))
    assert [(one.instance, one.service, one.container) for one in archive.logs()] == [
        (f"i-{number}", "web", f"{number}" * 12) for number in (1, 2, 3)
    ]
    archive.trim()
    assert [one.instance for one in archive.logs()] == ["i-2", "i-3"]
