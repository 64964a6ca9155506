import math

from tfopt.search.early_stopping.selection import going_on


def test_with_one_number_it_is_the_best_third():
    points = {str(number): (float(number),) for number in range(10)}
    assert going_on(points, 3) == {"0", "1", "2"}
    assert going_on({"a": (1.0,)}, 3) == {"a"}
    assert going_on({"a": (1.0,), "b": (2.0,)}, 3) == {"a"}
    assert going_on({}, 3) == set()


def test_the_whole_front_goes_on():
    front = {f"front {i}": (float(i), float(9 - i)) for i in range(10)}
    behind = {f"behind {i}": (i + 1.0, 10.0 - i) for i in range(5)}
    assert going_on(front | behind, 3) == {*front}


def test_the_next_fronts_fill_up_to_a_third_the_ends_first():
    first = {"best": (0.0, 0.0)}
    second = {f"{i}": (float(i), float(11 - i)) for i in range(1, 11)}
    # Of 11, three go on: the best, of the second front the one with the best first number, and the one
    # that is farthest from it.
    assert going_on(first | second, 3) == {"best", "1", "10"}


def test_what_was_not_measured_is_last():
    points = {"a": (0.3, 5.0), "b": (1e300, 5.0), "c": (math.inf, 5.0), "d": (0.4, 5.0), "e": (0.5, 5.0)}
    assert going_on(points, 3) == {"a"}
    assert going_on({"a": (math.inf, math.inf), "b": (math.inf, math.inf)}, 2) == {"a", "b"}
