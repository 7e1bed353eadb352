"""Archives: what the writer writes other tools read, and what hostile ones try does not happen."""

import gzip
import io
import os
import tarfile

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.base.errors import Corrupt, HostileArchive, Unsupported
from wherry.layer.packing import pack_tree
from wherry.layer.tarreader import TarReader
from wherry.layer.tarwriter import Meta, TarWriter
from wherry.layer.unpacking import Limits, unpack

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="ownership and devices need root")

names = st.binary(min_size=1, max_size=140).filter(lambda name: not {0, 47} & set(name) and name not in (b".", b".."))
metas = st.builds(
    Meta,
    st.integers(0, 0o7777),
    st.integers(0, 2**32 - 2),
    st.integers(0, 2**32 - 2),
    st.integers(0, 2**40),
    st.dictionaries(st.just("user.x") | st.just("user.y"), st.binary(max_size=20), max_size=2),
)


def archive(build):
    out = io.BytesIO()
    writer = TarWriter(out.write)
    build(writer)
    writer.finish()
    return out.getvalue()


def foreign(*members):
    """An archive by Python's tarfile: (TarInfo fields, content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for fields, data in members:
            info = tarfile.TarInfo(fields.pop("name"))
            for key, value in fields.items():
                setattr(info, key, value)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def take(data, target, **options):
    target.mkdir(exist_ok=True)
    return unpack(io.BytesIO(data), str(target), **options)


@given(st.lists(st.tuples(names, metas, st.binary(max_size=1500)), max_size=5))
def test_python_reads_what_the_writer_writes(entries):
    data = archive(lambda tar: [tar.small_file(*entry) for entry in entries])
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as tar:
        seen = [
            (os.fsencode(m.name), m.mode, m.uid, m.gid, m.mtime, tar.extractfile(m).read()) for m in tar.getmembers()
        ]
    assert seen == [(name.rstrip(b"/"), *meta[:4], content) for name, meta, content in entries]


@given(st.lists(st.tuples(names, metas, st.binary(max_size=1500)), max_size=5))
def test_the_reader_reads_what_the_writer_writes(entries):
    data = archive(lambda tar: [tar.small_file(*entry) for entry in entries])
    reader = TarReader(io.BytesIO(data).read)
    seen = [(e.name, Meta(e.mode, e.uid, e.gid, e.mtime, e.xattrs), reader.content(10_000)) for e in reader]
    assert seen == entries


@given(st.binary(max_size=3000))
def test_garbage_is_refused_or_empty_and_never_crashes(data):
    try:
        list(TarReader(io.BytesIO(data).read))
    except (Corrupt, Unsupported):
        pass


@settings(max_examples=200)
@given(st.integers(0, 1535), st.integers(0, 255))
def test_an_archive_with_one_changed_byte_is_read_or_refused(position, value):
    data = bytearray(archive(lambda tar: tar.small_file(b"n" * 120, Meta(0o644), b"content")))
    data[position] = value
    try:
        list(TarReader(io.BytesIO(bytes(data)).read))
    except (Corrupt, Unsupported):
        pass


def test_a_tree_comes_back_as_it_was(tmp_path):
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b/file").write_bytes(b"x" * 3000)
    (tree / ("long" * 60)).write_bytes(b"")
    os.link(tree / "a/b/file", tree / "a/hard")
    (tree / "a/link").symlink_to("/etc/passwd")
    os.mkfifo(tree / "fifo", 0o640)
    os.mknod(tree / "null", 0o020666, os.makedev(1, 3))
    os.chown(tree / "a/b/file", 70_000_00, 123)
    os.setxattr(tree / "a/b/file", "user.note", b"\x00\xff")
    os.chmod(tree / "a/b/file", 0o4755)
    os.chmod(tree / "a", 0o1777)
    with open(tree / "sparse", "wb") as sparse:
        sparse.truncate(3 << 20)
    os.utime(tree / "a", (1_000_000_000, 1_000_000_000))
    first = io.BytesIO()
    packed = pack_tree(str(tree), first.write)
    result = take(first.getvalue(), tmp_path / "back")
    assert (result.diff_id, result.size, result.entries) == packed
    back = tmp_path / "back"
    status = (back / "a/b/file").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (7_000_000, 123, 0o4755)
    assert os.getxattr(back / "a/b/file", "user.note") == b"\x00\xff"
    assert (back / "a/hard").stat().st_ino == status.st_ino
    assert os.readlink(back / "a/link") == "/etc/passwd"
    assert (back / "a").stat().st_mtime == 1_000_000_000
    assert (back / "null").stat().st_rdev == os.makedev(1, 3)
    again = io.BytesIO()
    assert pack_tree(str(back), again.write) == packed
    assert again.getvalue() == first.getvalue()


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ([({"name": "../outside"}, b"x")], "leads outside"),
        ([({"name": "a/../../outside"}, b"x")], "leads outside"),
        (
            [({"name": "l", "type": tarfile.SYMTYPE, "linkname": ".."}, b""), ({"name": "l/outside"}, b"x")],
            "reaches through",
        ),
        (
            [({"name": "l", "type": tarfile.SYMTYPE, "linkname": "/"}, b""), ({"name": "l/d/f"}, b"x")],
            "reaches through",
        ),
        ([({"name": "h", "type": tarfile.LNKTYPE, "linkname": "../secret"}, b"")], "leads outside"),
        ([({"name": "h", "type": tarfile.LNKTYPE, "linkname": "/etc/passwd"}, b"")], "does not hold"),
        (
            [
                ({"name": "d", "type": tarfile.SYMTYPE, "linkname": ".."}, b""),
                ({"name": "h", "type": tarfile.LNKTYPE, "linkname": "d/secret"}, b""),
            ],
            "reaches through",
        ),
        ([({"name": "w", "type": tarfile.CHRTYPE, "devmajor": 0, "devminor": 0}, b"")], "device 0/0"),
        ([({"name": ".wh."}, b"")], "invalid whiteout"),
        ([({"name": ".wh..."}, b"")], "invalid whiteout"),
        ([({"name": ".wh..wh.aufs"}, b"")], "invalid whiteout"),
        ([({"name": "f"}, b"x"), ({"name": "f/g"}, b"x")], "reaches through"),
        ([({"name": "/".join("a" * 300)}, b"x")], "components"),
    ],
)
def test_hostile_archives_are_refused_and_write_nothing_outside(tmp_path, members, error):
    (tmp_path / "secret").write_text("secret")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(Corrupt, match=error):
        take(foreign(*members), tmp_path / "target")
    assert sorted(os.listdir(tmp_path)) == sorted({*before, "target"})
    assert (tmp_path / "secret").stat().st_nlink == 1


def test_an_absolute_name_lands_inside_the_root(tmp_path):
    take(foreign(({"name": "/wherry-absolute"}, b"x")), tmp_path / "target")
    assert (tmp_path / "target/wherry-absolute").read_bytes() == b"x"
    assert not os.path.exists("/wherry-absolute")


def test_a_directory_swapped_for_a_link_is_not_written_through(tmp_path):
    members = [
        ({"name": "d", "type": tarfile.DIRTYPE, "mode": 0o755}, b""),
        ({"name": "d/one"}, b"x"),
        ({"name": "d", "type": tarfile.SYMTYPE, "linkname": str(tmp_path)}, b""),
        ({"name": "d/two"}, b"x"),
    ]
    with pytest.raises(HostileArchive, match="reaches through"):
        take(foreign(*members), tmp_path / "target")
    assert not (tmp_path / "two").exists()


def test_limits_hold(tmp_path):
    many = foreign(*(({"name": str(number)}, b"") for number in range(50)))
    with pytest.raises(HostileArchive, match="more than 10 entries"):
        take(many, tmp_path / "many", limits=Limits(entries=10))
    bomb = gzip.compress(foreign(({"name": "zeros"}, bytes(50 << 20))))
    with pytest.raises(HostileArchive, match="unpacks to more than"):
        take(bomb, tmp_path / "bomb", limits=Limits(size=5 << 20))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_compressions_are_recognised_and_a_cut_is_noticed(tmp_path, pack):
    plain = foreign(({"name": "f"}, os.urandom(5000)))
    assert take(pack(plain), tmp_path / "whole").size == len(plain)
    with pytest.raises(Corrupt, match=r"cut off|damaged"):
        take(pack(plain)[:2500], tmp_path / "cut")


def test_a_later_entry_takes_the_place_of_an_earlier_one(tmp_path):
    members = [
        ({"name": "x", "type": tarfile.DIRTYPE, "mode": 0o755}, b""),
        ({"name": "x/in"}, b"1"),
        ({"name": "x"}, b"file"),
        ({"name": "y", "type": tarfile.SYMTYPE, "linkname": "x"}, b""),
        ({"name": "y"}, b"not through the link"),
    ]
    take(foreign(*members), tmp_path / "t")
    assert (tmp_path / "t/x").read_bytes() == b"file"
    assert (tmp_path / "t/y").read_bytes() == b"not through the link"


def test_attributes_that_could_deceive_an_overlay_are_left_out(tmp_path):
    data = archive(
        lambda tar: tar.directory(b"d", Meta(0o755, xattrs={"trusted.overlay.redirect": b"/etc", "user.ok": b"1"}))
    )
    take(data, tmp_path / "t")
    assert os.listxattr(tmp_path / "t/d") == ["user.ok"]


def test_a_zstd_bomb_is_refused_before_it_fills_the_memory(tmp_path):
    import resource

    bomb = zstandard.compress(foreign(({"name": "zeros"}, bytes(600 << 20))))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(HostileArchive, match="unpacks to more than"):
        take(bomb, tmp_path / "bomb", limits=Limits(size=5 << 20))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "l", "type": tarfile.SYMTYPE, "linkname": ""},
        {"name": "x" * 300},
        {"name": "d", "type": tarfile.CHRTYPE, "devmajor": 5000, "devminor": 1},
        {"name": "l", "type": tarfile.SYMTYPE, "linkname": "x" * 5000},
    ],
)
def test_entries_that_cannot_be_made_are_the_archives_fault(tmp_path, fields):
    with pytest.raises(Corrupt):
        take(foreign((dict(fields), b"")), tmp_path / "t")


def test_an_opaque_root_hides_what_is_below(tmp_path):
    (tmp_path / "lower").mkdir()
    (tmp_path / "lower/old").write_text("x")
    take(
        foreign(({"name": ".wh..wh..opq"}, b""), ({"name": "new"}, b"")),
        tmp_path / "t",
        lowers=[str(tmp_path / "lower")],
    )
    assert (tmp_path / "t/old").stat().st_rdev == 0
    assert (tmp_path / "t/new").is_file()


def test_implied_directories_do_not_depend_on_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        take(foreign(({"name": "a/b"}, b"")), tmp_path / "t")
    finally:
        os.umask(before)
    assert (tmp_path / "t/a").stat().st_mode & 0o777 == 0o755
