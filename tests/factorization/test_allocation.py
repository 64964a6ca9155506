import itertools

import numpy as np
import pytest

from tfopt.factorization.allocation import allocated
from tfopt.factorization.options import Option


def _problem(seed, layers=5, choices=4):
    generator = np.random.default_rng(seed)
    options = [
        [
            Option((number, i), 0.0, int(generator.integers(1, 99)), int(generator.integers(1, 99)))
            for i in range(choices)
        ]
        for number in range(layers)
    ]
    losses = generator.random((layers, choices)).tolist()
    costs = {
        "macs": [[option.macs for option in each] for each in options],
        "params": [[option.weights for option in each] for each in options],
    }
    return options, losses, costs


@pytest.mark.parametrize("seed", range(8))
def test_no_other_choice_within_the_limits_loses_less(seed):
    options, losses, costs = _problem(seed)
    limits = {"macs": 200.0, "params": 240.0}
    found = allocated(options, losses, costs, limits)
    best = np.inf
    for choice in itertools.product(range(4), repeat=5):
        spent = {name: sum(table[n][i] for n, i in enumerate(choice)) for name, table in costs.items()}
        if all(spent[name] <= limits[name] for name in limits):
            best = min(best, sum(losses[n][i] for n, i in enumerate(choice)))
    if found is None:
        assert best == np.inf
        return
    assert sum(option.macs for option in found) <= 200
    assert sum(option.weights for option in found) <= 240
    total = sum(loss[each.index(option)] for each, loss, option in zip(options, losses, found, strict=True))
    assert total == pytest.approx(best)


def test_limits_that_nothing_meets():
    options, losses, costs = _problem(0)
    assert allocated(options, losses, costs, {"macs": 3.0}) is None
