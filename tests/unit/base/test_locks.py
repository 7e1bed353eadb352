import os
import subprocess
import sys

import pytest

from wherry.base.locks import FileLock, is_held


def test_a_held_lock_is_seen_as_held_and_refuses_a_second_holder(tmp_path):
    path = str(tmp_path / "deep" / "lock")
    assert not is_held(path)
    with FileLock(path):
        assert is_held(path)
        with pytest.raises(BlockingIOError):
            FileLock(path, wait=False).acquire()
    assert not is_held(path)


def test_shared_holders_meet_and_keep_an_exclusive_one_out(tmp_path):
    path = str(tmp_path / "lock")
    with FileLock(path, shared=True), FileLock(path, shared=True, wait=False), pytest.raises(BlockingIOError):
        FileLock(path, wait=False).acquire()


def test_the_kernel_frees_the_lock_of_a_killed_process(tmp_path):
    path = str(tmp_path / "lock")
    script = f"from wherry.base.locks import FileLock; FileLock({path!r}).acquire(); print('held', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    assert is_held(path)
    holder.kill()
    holder.wait()
    assert not is_held(path)


def test_whoever_waited_for_a_removed_lock_file_holds_a_new_one(tmp_path):
    path = str(tmp_path / "lock")
    script = (
        f"from wherry.base.locks import FileLock; print('waiting', flush=True)\n"
        f"with FileLock({path!r}) as lock: import os; print(os.path.exists({path!r}), flush=True)"
    )
    with FileLock(path) as lock:
        waiter = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert waiter.stdout.readline() == "waiting\n"
        lock.remove()
        assert not os.path.exists(path)
    assert waiter.stdout.readline() == "True\n"
    assert waiter.wait() == 0


def test_a_child_keeps_the_lock_by_its_descriptor(tmp_path):
    path = str(tmp_path / "lock")
    lock = FileLock(path).acquire()
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(lock.fileno(),))
    lock.release()
    assert is_held(path)
    child.stdin.close()
    child.wait()
    assert not is_held(path)
