"""What `diff` tells of a writable layer."""

import os
import stat

import pytest

from wherry.layer.changes import list_changes


@pytest.fixture
def layers(tmp_path):
    """The upper directory, and two lower ones, the topmost first."""
    upper, top, bottom = (tmp_path / name for name in ("upper", "top", "bottom"))
    for layer in (upper, top, bottom):
        (layer / "etc").mkdir(parents=True)
    (bottom / "etc/passwd").write_text("root")
    (bottom / "etc/group").write_text("root")
    (top / "srv").mkdir()
    return upper, top, bottom


def told(layers, **options):
    upper, *lowers = map(str, layers)
    return [f"{change.kind} {change.path}" for change in list_changes(upper, lowers, **options)]


def test_a_directory_that_was_only_copied_up_has_not_changed(layers):
    assert told(layers) == []
    layers[0].joinpath("etc").chmod(0o700)
    assert told(layers) == ["C /etc"]


def test_what_was_added_and_changed_comes_below_its_directory(layers):
    upper = layers[0]
    (upper / "etc/passwd").write_text("root and others")
    (upper / "etc/new").write_text("")
    (upper / "data").mkdir()
    (upper / "data/link").symlink_to("nowhere")
    assert told(layers) == ["A /data", "A /data/link", "C /etc", "A /etc/new", "C /etc/passwd"]


def test_what_is_made_to_mount_on_is_left_out_while_it_is_empty(layers):
    upper = layers[0]
    (upper / "etc/hosts").write_text("")
    (upper / "proc").mkdir()
    assert told(layers, places=["/etc/hosts", "/proc"]) == []
    (upper / "proc/kept").write_text("")
    (upper / "etc/hosts").write_text("of an image")
    assert told(layers, places=["/etc/hosts", "/proc"]) == ["C /etc", "A /etc/hosts", "A /proc", "A /proc/kept"]


@pytest.mark.skipif(os.geteuid() != 0, reason="whiteouts need root")
def test_what_was_deleted_is_told_where_a_lower_layer_has_it(layers):
    upper, top, _ = layers
    for path in (upper / "etc/group", upper / "etc/never", upper / "srv", top / "etc/passwd"):
        if path.is_dir():
            path.rmdir()
        os.mknod(path, stat.S_IFCHR, 0)
    os.mknod(upper / "etc/passwd", stat.S_IFCHR, 0)
    assert told(layers) == ["C /etc", "D /etc/group", "D /srv"]


@pytest.mark.skipif(os.geteuid() != 0, reason="attributes of the overlay need root")
def test_a_directory_made_anew_hides_what_was_in_it(layers):
    upper = layers[0]
    (upper / "etc/passwd").write_text("new")
    (layers[2] / "etc/sub").mkdir()
    (layers[2] / "etc/sub/old").write_text("old")
    (upper / "etc/sub").mkdir()
    os.setxattr(upper / "etc", "trusted.overlay.opaque", b"y")
    assert told(layers) == ["C /etc", "C /etc/passwd", "C /etc/sub", "D /etc/sub/old", "D /etc/group"]
