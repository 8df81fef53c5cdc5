"""Group commit: who comes while another writes shares the next write; what fails fails for its group alone; nobody waits for ever."""

from __future__ import annotations

import threading

import pytest

from constrained.errors import AuditError
from constrained.records import group_commit
from constrained.records.chain import START, EntryDraft, LogPosition
from constrained.records.group_commit import MOST, GroupCommit, SharedFlush
from tests.strategies import record


class Store:
    """Writes as a test tells it: the first write waits until the others have come."""

    def __init__(self, fails=()):
        self.groups, self.fails, self.gate, self.begun = [], fails, threading.Event(), threading.Event()

    def write(self, drafts):
        number = len(self.groups)
        self.groups.append(list(drafts))
        self.begun.set()
        self.gate.wait(10)
        if number in self.fails:
            raise self.fails[number]
        return [(LogPosition(number, str(draft)), START) for draft in drafts]


def drafts(n):
    return [EntryDraft.of(record(number)) for number in range(n)]


def append_all(store, given):
    """Each from a thread of its own, the first one first; returns what each got or raised."""
    commit, results = GroupCommit(store.write, lambda: None), {}

    def append(number):
        try:
            results[number] = commit.append(given[number])
        except BaseException as error:
            results[number] = error

    threads = [threading.Thread(target=append, args=(number,)) for number in range(len(given))]
    threads[0].start()
    store.begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(commit._queue) < len(given) - 1:
        threading.Event().wait(0.001)
    store.gate.set()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    return commit, results


def test_those_who_wait_share_one_write_and_each_gets_its_own_place():
    store, given = Store(), drafts(20)
    _, results = append_all(store, given)
    assert [len(group) for group in store.groups] == [1, 19]
    assert all(results[number][0].hash == str(draft) for number, draft in enumerate(given))


def test_a_group_has_an_end():
    store, given = Store(), drafts(1) * (MOST + 5)
    append_all(store, given)
    assert [len(group) for group in store.groups] == [1, MOST, 4]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_fails_for_its_group_and_the_next_goes_on(error):
    store = Store(fails={1: error})
    commit, results = append_all(store, drafts(5))
    assert not isinstance(results[0], BaseException)
    assert all(results[number] is error for number in range(1, 5))
    assert commit.append(drafts(1)[0])[0].sequence == 2


class Interrupted:
    """A wake-up that Ctrl-C comes before; it lets the leader hand on first where ``leads`` says so."""

    def __init__(self, before=lambda: None):
        self.before = before

    def acquire(self):
        self.before()
        raise KeyboardInterrupt

    def release(self):
        pass


@pytest.mark.parametrize("leads", [False, True])
def test_one_who_is_interrupted_while_waiting_holds_up_nobody(monkeypatch, leads):
    store, given = Store(), drafts(3)
    commit = GroupCommit(store.write, lambda: None)
    results = {}

    def append(number):
        try:
            results[number] = commit.append(given[number])
        except KeyboardInterrupt as error:
            results[number] = error

    first = threading.Thread(target=append, args=(0,))
    first.start()
    store.begun.wait(10)

    def let_the_first_end():
        if leads:
            store.gate.set()
            first.join(10)

    made = group_commit._Waiting.__init__

    def waiting(self, draft):
        made(self, draft)
        if draft is given[1]:
            self.wake = Interrupted(let_the_first_end)

    monkeypatch.setattr(group_commit._Waiting, "__init__", waiting)
    append(1)
    assert isinstance(results[1], KeyboardInterrupt)
    last = threading.Thread(target=append, args=(2,))
    last.start()
    store.gate.set()
    for thread in (first, last):
        thread.join(10)
        assert not thread.is_alive()
    assert [[given.index(one) for one in group] for group in store.groups] == [[0], [2]]


def test_a_fork_lets_go_of_what_it_held_and_of_nothing_else():
    """Another thread may open a log between the two halves of a fork, and write to it."""
    calls = []
    held = GroupCommit(lambda drafts: [], lambda: calls.append("closed"))
    group_commit._before_fork()
    later = GroupCommit(lambda drafts: [], lambda: None)
    later.busy.acquire()  # it writes
    assert held.busy.locked()
    group_commit._after_fork(is_child=False)
    assert (held.busy.locked(), later.busy.locked(), calls) == (False, True, ["closed"])
    later.busy.release()


def test_a_flush_that_fails_fails_for_all_who_wait_and_for_nobody_later(monkeypatch, tmp_path):
    flush, told = SharedFlush(tmp_path / "log"), []
    under_way, go_on = threading.Event(), threading.Event()
    flushes = []

    def flush_file(path):
        flushes.append(path)
        if len(flushes) == 1:
            under_way.set()
            go_on.wait()
            raise OSError(5, "Input/output error")

    def wait():
        try:
            flush.wait()
        except AuditError as error:
            told.append(str(error))
        else:
            told.append("")

    monkeypatch.setattr(group_commit, "flush_file", flush_file)
    first = threading.Thread(target=wait)
    first.start()
    under_way.wait()
    others = [threading.Thread(target=wait) for _ in range(3)]  # what they wrote may be among what was lost
    seen = threading.Condition.wait
    n_waiting = threading.Semaphore(0)
    monkeypatch.setattr(flush._turn, "wait", lambda: n_waiting.release() or seen(flush._turn))
    for thread in others:
        thread.start()
        n_waiting.acquire()
    go_on.set()
    for thread in [first, *others]:
        thread.join()
    assert len(told) == 4
    assert all("cannot be flushed: Input/output error" in one for one in told)
    wait()
    assert (told[4], len(flushes)) == ("", 2)
