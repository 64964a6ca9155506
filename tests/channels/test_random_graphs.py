"""Random graphs: whatever can be removed from them can be masked too, and what is left computes the same."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def _beside(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


equality, random_graphs = map(_beside, ("equality", "random_graphs"))

PLACES = st.integers(0, 3)
STEP = st.tuples(st.sampled_from(sorted(random_graphs.STEPS)), PLACES, PLACES)
GRAPHS = st.lists(STEP, min_size=2, max_size=7)


def _holds(choices, outputs, seed):
    model = random_graphs.graph(choices, outputs)
    equality.assert_cut_is_masked(model, seed)
    equality.assert_cut_runs(model, seed)


@settings(max_examples=4, deadline=None, database=None, print_blob=True)
@given(GRAPHS, st.integers(1, 2), st.integers(0, 99))
def test_a_few_random_graphs(choices, outputs, seed):
    _holds(choices, outputs, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(random_graphs.STEPS))
def test_each_step_alone(name):
    """On an image, a sequence and a vector, some channels of which can go."""
    start = [("as_sequence", 1, 1), ("pooled", 2, 2)]
    before = len(random_graphs.graph(start).layers)
    for places in ((0, 0), (1, 1), (2, 2), (3, 3), (3, 0), (1, 0)):
        model = random_graphs.graph([*start, (name, *places)])
        if len(model.layers) > before + 2:
            break
    equality.assert_cut_is_masked(model)
    equality.assert_cut_runs(model, 0)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, database=None, print_blob=True)
@given(GRAPHS, st.integers(1, 2), st.integers(0, 99))
def test_many_random_graphs(choices, outputs, seed):
    _holds(choices, outputs, seed)
