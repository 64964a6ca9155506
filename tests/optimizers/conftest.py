"""What the tests of single optimizers share."""

import keras
import numpy as np
import pytest


@pytest.fixture
def replay():
    """A function: (optimizer, start, gradients) by name -> parameters after 0, 1, ... steps along these."""

    def replay(optimizer, start, gradients, dtype="float32"):
        variables = {name: keras.Variable(value, dtype=dtype) for name, value in start.items()}
        optimizer.build(list(variables.values()))
        path = {name: [variable.numpy()] for name, variable in variables.items()}
        for step in range(len(next(iter(gradients.values())))):
            optimizer.apply([keras.ops.convert_to_tensor(gradients[n][step], dtype) for n in variables])
            for name, variable in variables.items():
                path[name].append(variable.numpy())
        return {name: np.stack(values) for name, values in path.items()}

    return replay


@pytest.fixture
def deviation():
    """A function: largest difference of two paths of a parameter, as a share of the largest movement."""
    return lambda ours, theirs: np.abs(ours - theirs).max() / np.abs(theirs - theirs[0]).max()


@pytest.fixture
def rough():
    """A start (4, 3) and 25 gradients: of 1e-6 to 100, a spike, and entries that are zero always or later."""
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=(4, 3)), random.normal(size=(25, 4, 3))
    gradients *= np.array([1e-6, 1.0, 1e2])
    gradients[10] *= 50
    gradients[5:, 2] = 0
    gradients[:, 0, 0] = 0
    return start, gradients
