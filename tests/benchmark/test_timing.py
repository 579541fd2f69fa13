"""Interleaving, dropped warm-up and paired ratios, with a clock that only the measured work moves."""

import gc
from collections import Counter
from collections.abc import Callable
from itertools import pairwise, permutations

import pytest

from seqlight.benchmark.timing import Schedule, interleave, paired_ratios, quartiles, round_order


class Machine:
    """A clock and pieces of work that take as long as they are told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def clock(self) -> float:
        return self.now

    def work(self, name: str, seconds: Callable[[int], float]) -> Callable[[], None]:
        def run() -> None:
            self.now += seconds(self.calls.count(name))
            self.calls.append(name)

        return run


def schedule(**options: float) -> Schedule:
    return Schedule(**{"rounds": 6, "min_seconds": 0.0, "warmup_rounds": 2, "sample_seconds": 0.0, **options})


def test_rounds_run_each_work_once_in_changing_order():
    machine = Machine()
    work = {name: machine.work(name, lambda call: 1.0) for name in "abc"}
    seconds = interleave(work, schedule(), clock=machine.clock)
    assert {name: len(each) for name, each in seconds.items()} == {"a": 6, "b": 6, "c": 6}
    rounds = ["".join(machine.calls[i : i + 3]) for i in range(6, len(machine.calls), 3)]  # less the warm-up
    assert rounds == ["abc", "bca", "cab", "cba", "acb", "bac"]


@pytest.mark.parametrize("names", ["ab", "abc", "abcd", "abcdefg"])
def test_round_order_is_balanced(names: str):
    rounds = len(names) if len(names) % 2 == 0 else 2 * len(names)
    orders = [round_order(names, index) for index in range(rounds)]
    for position in range(len(names)):
        at_position = Counter(order[position] for order in orders)
        assert set(at_position) == set(names)
        assert len(set(at_position.values())) == 1
    neighbours = Counter(pair for order in orders for pair in pairwise(order))
    assert set(neighbours) == set(permutations(names, 2))
    assert len(set(neighbours.values())) == 1


def test_warmup_is_dropped():
    machine = Machine()
    slow_start = machine.work("a", lambda call: 100.0 if call < 2 else 1.0)
    seconds = interleave({"a": slow_start}, schedule(), clock=machine.clock)
    assert seconds["a"] == [1.0] * 6


def test_short_work_is_repeated_and_divided():
    machine = Machine()
    work = {"short": machine.work("short", lambda call: 0.25), "long": machine.work("long", lambda call: 8.0)}
    seconds = interleave(work, schedule(rounds=5, warmup_rounds=1, sample_seconds=2.0), clock=machine.clock)
    assert seconds["short"] == [0.25] * 5
    assert machine.calls.count("short") == 1 + 5 * 8
    assert machine.calls.count("long") == 1 + 5


def test_min_seconds_adds_rounds_and_max_seconds_takes_them():
    for options, rounds in (
        ({"min_seconds": 20.0}, 10),
        ({"max_seconds": 11.0}, 6),
        ({"rounds": 50, "max_seconds": 11.0}, 6),
        ({"rounds": 50, "max_seconds": 1.0}, 5),  # never fewer than fewest_rounds
        ({"rounds": 3}, 3),
    ):
        machine = Machine()
        work = {"a": machine.work("a", lambda call: 2.0)}
        assert len(interleave(work, schedule(**options), clock=machine.clock)["a"]) == rounds, options


def test_garbage_collection_is_paused_and_restored():
    seen: list[bool] = []
    interleave({"a": lambda: seen.append(gc.isenabled())}, schedule(rounds=2))
    assert not any(seen)
    assert gc.isenabled()


def test_ratios_are_paired_by_round():
    # the machine slows down to a tenth half way; each round's ratio is 2 all the same
    baseline, candidate = [4.0, 4.0, 40.0, 40.0, 40.0], [2.0, 2.0, 20.0, 20.0, 20.0]
    ratios = paired_ratios(baseline, candidate)
    assert ratios == [2.0] * 5
    assert quartiles(baseline).median / quartiles([2.0, 2.0, 2.0, 20.0, 20.0]).median == 20.0


def test_ratios_need_the_same_rounds():
    with pytest.raises(ValueError, match="as many rounds in both, got 1 and 2"):
        paired_ratios([1.0], [1.0, 2.0])


def test_quartiles():
    found = quartiles([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (found.q1, found.median, found.q3) == (2.0, 3.0, 4.0)


def test_no_work_is_no_result():
    assert interleave({}, schedule()) == {}
