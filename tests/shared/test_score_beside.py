"""Reading and writing beside scoring: order, how much is held, and failures."""

import threading

import pytest

from solvent.score.beside import ahead, behind

PATIENCE = 10  # seconds; only a test that fails waits for them


class BrokenError(Exception):
    pass


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_the_next_item_is_made_while_this_one_is_used_and_no_other():
    made = [threading.Event() for _ in range(4)]

    def items():
        for number, event in enumerate(made):
            event.set()
            yield number

    with ahead(items()) as given:
        for number in range(4):
            assert next(given) == number
            assert number == 3 or made[number + 1].wait(PATIENCE)
            assert number > 1 or not made[number + 2].wait(0.05)
        assert list(given) == []


def test_a_failure_comes_in_its_items_place_and_all_of_it_runs_in_one_thread():
    threads = []

    def items():
        try:
            threads.append(threading.get_ident())
            yield "first"
            yield "second"
            raise BrokenError
        finally:
            threads.append(threading.get_ident())

    used = []
    with pytest.raises(BrokenError), ahead(items()) as given:
        for item in given:
            used.append(item)  # noqa: PERF402  (it has those from before the failure)
    assert used == ["first", "second"]
    with ahead(items()) as given:  # whoever stops early ends it too, in its thread
        next(given)
    assert len(threads) == 4
    assert threads[0::2] == threads[1::2] and threading.get_ident() not in threads


def test_items_are_worked_on_in_order_and_no_more_than_one_waits():
    begun, may_end, done = [threading.Event() for _ in range(3)], threading.Semaphore(0), []

    def work(number):
        begun[number].set()
        assert may_end.acquire(timeout=PATIENCE)
        done.append(number)

    with behind(work) as give:
        give(0)
        assert begun[0].wait(PATIENCE) and done == []  # it goes on while the next one is made
        may_end.release()
        give(1)
        assert done == [0]
        assert begun[1].wait(PATIENCE) and done == [0]
        may_end.release(2)
        give(2)
    assert done == [0, 1, 2]


@pytest.mark.parametrize("fails", [0, 1])
def test_a_failed_work_is_told_by_the_next_item_or_the_end(fails):
    done = []

    def work(number):
        if number == fails:
            raise BrokenError
        done.append(number)

    given = []
    with pytest.raises(BrokenError), behind(work) as give:
        for number in range(2):
            give(number)
            given.append(number)
    assert (given, done) == (([0], []) if fails == 0 else ([0, 1], [0]))


def test_a_failure_beside_waits_for_the_work_and_stays_the_failure_that_is_told():
    begun, done = threading.Event(), []

    def work(number):
        begun.set()
        done.append(number)
        raise ValueError("of less interest")

    with pytest.raises(BrokenError), behind(work) as give:
        give(0)
        assert begun.wait(PATIENCE)
        raise BrokenError
    assert done == [0]
