from wherry.network.dns import Entry, Zone, zone_file


def test_a_zone_is_what_aardvark_reads():
    entries = (
        Entry("a" * 64, "10.0.0.2", ("Web", "app", "aaaaaaaaaaaa", "web")),
        Entry("b" * 64, "10.0.0.3", ("db",), ("1.1.1.1", "2001:db8::1", "8.8.8.8")),
    )
    assert zone_file(Zone("n", "10.0.0.1", entries)).splitlines() == [
        "10.0.0.1",
        f"{'a' * 64} 10.0.0.2  web,app,aaaaaaaaaaaa",
        f"{'b' * 64} 10.0.0.3  db 1.1.1.1,8.8.8.8",
    ]


def test_an_internal_zone_asks_nobody():
    entry = Entry("a" * 64, "10.0.0.2", ("web",), ("1.1.1.1",))
    assert zone_file(Zone("n", "10.0.0.1", (entry,), internal=True)).splitlines()[1].split()[-1] == "240.0.0.1"
