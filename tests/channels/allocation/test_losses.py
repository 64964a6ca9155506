import numpy as np
import pytest

from tests.channels.hand_made import chain
from tfopt.channels.allocation.allocate import allocate
from tfopt.channels.allocation.losses import LossesOnData, losses_by_scores
from tfopt.channels.allocation.problem import Problem
from tfopt.channels.costs.model_costs import ModelCosts


@pytest.fixture
def dependencies():
    return chain((8, 16))


@pytest.fixture
def problem(dependencies):
    costs = ModelCosts(dependencies)
    options = (np.array([2, 4, 6, 8]), np.array([4, 8, 16]))
    return Problem(costs.sizes, costs.metrics, {}, options, np.arange(24.0))


def test_scores_of_what_is_removed(problem):
    assert [losses.tolist() for losses in losses_by_scores(problem)] == [[15, 6, 1, 0], [162, 92, 0]]


def test_the_loss_of_a_group_that_nothing_reads_is_zero(dependencies, problem):
    """The second convolution reads nothing of the first one's lower half."""
    model = dependencies.model
    kernel = model.get_layer("conv1").kernel.numpy()
    kernel[:, :, :4] = 0
    model.get_layer("conv1").kernel.assign(kernel)
    x = np.random.default_rng(0).standard_normal((16, 16, 16, 3)).astype("float32")
    before = [variable.numpy() for variable in model.variables]
    first, second = LossesOnData(dependencies, x)(problem)
    assert first[1:].max() < 1e-9
    assert first[0] > 1e-3
    assert second[0] > second[1] > 1e-3
    assert (first[-1], second[-1]) == (0, 0)
    for variable, values in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), values)


def test_the_integer_program_removes_what_the_data_does_not_need(dependencies, problem):
    """The Dense layer reads nothing of most of the second convolution, whatever the scores say."""
    model = dependencies.model
    kernel = model.get_layer("head").kernel.numpy().reshape(4, 16, 10)
    kernel[:, :12] = 0
    model.get_layer("head").kernel.assign(kernel.reshape(64, 10))
    x = np.random.default_rng(0).standard_normal((16, 16, 16, 3)).astype("float32")
    y = np.arange(16) % 10
    for losses in (
        LossesOnData(dependencies, x),
        LossesOnData(dependencies, x, y, "sparse_categorical_crossentropy"),
    ):
        assert losses(problem)[1].tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    scores = np.r_[np.arange(8.0), 100 + np.arange(16.0)]
    keep = allocate(
        dependencies,
        scores,
        {"macs": 0.4},
        method="sensitivity",
        losses=LossesOnData(dependencies, x),
        round_to=4,
    )
    assert keep[:8].all()
    assert not keep[8:20].all()
