import os
import signal
import subprocess
import sys
import threading

import pytest

from wherry.build.schedule import run_in_order


def numbers(**needs):
    return {int(name[1:]): frozenset(needed) for name, needed in needs.items()}


def test_a_chain_happens_in_the_calling_thread():
    threads = []
    run_in_order(numbers(_0=(), _1=(0,), _2=(1,)), lambda _: threads.append(threading.get_ident()), lambda: None)
    assert threads == [threading.get_ident()] * 3


def test_what_does_not_need_each_other_happens_at_once():
    both = threading.Barrier(2, timeout=10)
    run_in_order(numbers(_0=(), _1=()), lambda _: both.wait() and None, lambda: None)


def test_needs_come_first():
    done = []
    lock = threading.Lock()
    needs = numbers(_0=(), _1=(), _2=(0, 1), _3=(), _4=(2, 3))

    def work(number):
        with lock:
            assert needs[number] <= set(done)
            done.append(number)

    run_in_order(needs, work, lambda: None)
    assert sorted(done) == [0, 1, 2, 3, 4]


def test_the_first_error_stops_the_others_and_is_raised():
    stopped = threading.Event()

    def work(number):
        if number == 0:
            raise ValueError("first")
        assert stopped.wait(10)
        raise KeyError("only an echo")

    with pytest.raises(ValueError, match="first"):
        run_in_order(numbers(_0=(), _1=(), _2=(0, 1)), work, stopped.set)


def test_after_an_error_nothing_is_begun_that_was_waiting_for_a_thread():
    begun = []

    def work(number):
        begun.append(number)
        raise ValueError("each")

    many = {number: frozenset() for number in range(100)}
    with pytest.raises(ValueError, match="each"):
        run_in_order(many, work, lambda: None)
    assert len(begun) <= max(2, os.cpu_count())


def test_an_interrupt_of_the_caller_stops_what_is_under_way():
    both, stopped = threading.Barrier(2), threading.Event()

    def work(number):
        if both.wait(10) == 0:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        assert stopped.wait(10)

    with pytest.raises(KeyboardInterrupt):
        run_in_order(numbers(_0=(), _1=()), work, stopped.set)
    assert stopped.is_set()


def test_no_thread_pool_is_loaded_for_it():
    script = (
        "import sys; from wherry.build.schedule import run_in_order\n"
        "run_in_order({0: frozenset(), 1: frozenset()}, print, print)\n"
        "sys.exit(bool({'concurrent.futures', 'logging'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-I", "-c", script], check=True, stdout=subprocess.DEVNULL)
