"""Archives: what the writer writes other tools read, and what hostile ones try does not happen."""

import gzip
import io
import os
import socket
import subprocess
import tarfile
import time

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.base.errors import Corrupt, HostileArchive, Unsupported
from wherry.base.files import remove_tree
from wherry.layer.packing import pack_tree, pack_upper
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
        ([({"name": "/".join("a" * 2500)}, b"x")], "more than 4095 bytes"),
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
    implied = foreign(({"name": "a/b/c/d/e/f/g/h/i/j/k"}, b""))
    with pytest.raises(HostileArchive, match="more than 10 entries"):
        take(implied, tmp_path / "implied", limits=Limits(entries=10))
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


def test_entries_that_take_turns_leave_what_was_written_last(tmp_path):
    def build(tar):
        for number in range(40):
            tar.directory(b"turn", Meta(0o755, mtime=1))
            tar.directory(b"turn/below", Meta(0o755, mtime=number))
            tar.small_file(b"turn", Meta(0o644, mtime=number), b"%d" % number)
        tar.directory(b"last", Meta(0o755, mtime=7))

    take(archive(build), tmp_path / "t")
    assert (tmp_path / "t/turn").read_bytes() == b"39"
    assert (tmp_path / "t/turn").stat().st_mtime == 39
    assert (tmp_path / "t/last").stat().st_mtime == 7


def test_an_opaque_root_that_is_repeated_hides_what_is_below_once(tmp_path):
    lower = tmp_path / "lower"
    lower.mkdir()
    for number in range(2000):
        (lower / str(number)).touch()
    data = archive(lambda tar: [tar.small_file(b".wh..wh..opq", Meta(0), b"") for _ in range(2000)])
    (tmp_path / "t").mkdir()
    started = time.process_time()
    unpack(io.BytesIO(data), str(tmp_path / "t"), lowers=[str(lower)])
    assert time.process_time() - started < 2


def test_many_tiny_compressed_frames_are_no_quadratic_work(tmp_path):
    plain = archive(lambda tar: tar.small_file(b"f", Meta(0o644, xattrs={"trusted.x": b"1" * 40_000}), b""))
    frames = b"".join(zstandard.compress(plain[number : number + 1]) for number in range(len(plain)))
    assert len(frames) > 400_000
    started = time.process_time()
    take(frames, tmp_path / "t")
    assert time.process_time() - started < 5


def test_headers_for_all_entries_are_left_aside_as_others_do(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"uid": "77"}) as tar:
        tar.addfile(tarfile.TarInfo("f"))
    take(out.getvalue(), tmp_path / "t")
    assert (tmp_path / "t/f").stat().st_uid == 0


def test_more_attributes_than_a_file_can_have_are_refused(tmp_path):
    data = archive(lambda tar: tar.small_file(b"f", Meta(0o644, xattrs={"user.x": bytes(70_000)}), b""))
    with pytest.raises(HostileArchive, match="attributes"):
        take(data, tmp_path / "t")


@pytest.mark.parametrize("form", ["gnu", "posix 0.0", "posix 0.1", "posix 1.0"])
def test_sparse_files_of_gnu_tar_come_out_whole_and_sparse(tmp_path, form):
    (tmp_path / "tree").mkdir()
    content = bytearray(6 << 20)
    with open(tmp_path / "tree/holes", "wb") as file:
        for number in range(90):
            file.seek(number << 16)
            file.write(b"data %d" % number)
            content[number << 16 : (number << 16) + 7] = (b"data %d" % number).ljust(7, b"\0")
        file.truncate(6 << 20)
    (tmp_path / "tree/after").write_text("after")
    kind, _, version = form.partition(" ")
    argv = ["tar", "-C", str(tmp_path / "tree"), "--sparse", f"--format={kind}", "-cf", "-", "holes", "after"]
    argv[4:4] = [f"--sparse-version={version}"] if version else []
    data = subprocess.run(argv, check=True, capture_output=True).stdout
    assert len(data) < 2 << 20
    take(data, tmp_path / "t")
    assert (tmp_path / "t/holes").read_bytes() == content
    assert (tmp_path / "t/holes").stat().st_blocks * 512 < 2 << 20
    assert (tmp_path / "t/after").read_text() == "after"
    assert sorted(os.listdir(tmp_path / "t")) == ["after", "holes"]


@pytest.mark.parametrize(
    "records",
    [
        {"GNU.sparse.map": "0,100", "GNU.sparse.size": "50"},
        {"GNU.sparse.map": "0,-4", "GNU.sparse.size": "50"},
        {"GNU.sparse.map": "9,1,3,3", "GNU.sparse.size": "50"},
        {"GNU.sparse.map": "1", "GNU.sparse.size": "50"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "50"},
        {"GNU.sparse.map": "0,4", "GNU.sparse.size": "x"},
        {"GNU.sparse.map": "0,4", "GNU.sparse.size": "50", "size": "x"},
    ],
)
def test_a_sparse_map_that_lies_is_refused(tmp_path, records):
    with pytest.raises(Corrupt, match=r"malformed|cut off"):
        take(foreign(({"name": "f", "pax_headers": records}, b"data")), tmp_path / "t")


def test_a_sparse_file_counts_with_its_whole_size(tmp_path):
    records = {"GNU.sparse.map": "0,4", "GNU.sparse.size": str(1 << 50)}
    with pytest.raises(HostileArchive, match="unpacks to more"):
        take(foreign(({"name": "f", "pax_headers": records}, b"data")), tmp_path / "t")


@settings(max_examples=300)
@given(
    st.dictionaries(
        st.sampled_from(["map", "size", "realsize", "major", "name", "offset"]), st.text("0123456789,", max_size=9)
    )
)
def test_any_sparse_map_is_read_or_refused(records):
    fields = {"name": "f", "pax_headers": {f"GNU.sparse.{key}": value for key, value in records.items()}}
    try:
        for entry in (reader := TarReader(io.BytesIO(foreign((fields, b"1\n0\n4\n" + bytes(600)))).read)):
            while reader.content(100):
                pass
            assert entry.size >= 0
    except Corrupt:
        pass


def test_deep_trees_come_back_and_links_between_them_hold(tmp_path):
    one, two = b"/".join([b"a"] * 1500), b"/".join([b"b"] * 1500)

    def build(tar):
        tar.small_file(one + b"/f", Meta(0o644), b"content")
        tar.hard_link(two + b"/g", Meta(0o644), one + b"/f")

    first = io.BytesIO()
    take(archive(build), tmp_path / "t")
    assert os.stat(os.fsencode(tmp_path / "t") + b"/" + two + b"/g").st_nlink == 2
    packed = pack_tree(str(tmp_path / "t"), first.write)
    second = io.BytesIO()
    take(first.getvalue(), tmp_path / "u")
    assert pack_tree(str(tmp_path / "u"), second.write) == packed
    remove_tree(str(tmp_path / "t"))
    remove_tree(str(tmp_path / "u"))


def test_packing_what_no_name_can_reach_says_so(tmp_path):
    directory = os.open(tmp_path, os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("d", dir_fd=directory)
        below = os.open("d", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)
    with pytest.raises(Unsupported, match="longer than a path can be"):
        pack_tree(str(tmp_path), io.BytesIO().write)
    remove_tree(str(tmp_path / "d"))


def test_a_snapshot_becomes_what_its_layer_says(tmp_path):
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    for root in (upper, lower):
        for name in ("changed", "untouched", "deep/below"):
            (root / name).mkdir(parents=True)
    os.utime(lower / "untouched", (1_000, 1_000))
    os.chmod(upper / "deep", 0o750)
    os.chmod(lower / "deep", 0o750)
    (upper / "changed/file").write_text("x")
    (upper / "changed/link").symlink_to("file")
    (upper / "deep/below/old").touch()
    os.utime(upper / "deep/below/old", ns=(0, 5_123_456_789))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(upper / "changed/socket"))
    out = io.BytesIO()
    pack_upper(str(upper), [str(lower)], out.write, clamp_mtime=2_000_000, settle=True)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        said = {member.name: (member.mtime, member.mode) for member in tar}
    assert list(said) == ["changed", "changed/file", "changed/link", "deep", "deep/below", "deep/below/old"]
    assert said["deep"] == (2_000_000, 0o750)
    assert said["deep/below/old"][0] == 5
    for name, (mtime, _) in said.items():
        assert os.lstat(upper / name).st_mtime_ns == mtime * 1_000_000_000
    assert (upper / "untouched").stat().st_mtime == 1_000
    assert not (upper / "changed/socket").exists()


def test_packing_alone_changes_nothing(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t/f").touch()
    before = os.lstat(tmp_path / "t/f").st_mtime_ns
    pack_tree(str(tmp_path / "t"), io.BytesIO().write, clamp_mtime=1)
    assert os.lstat(tmp_path / "t/f").st_mtime_ns == before
