import json

import keras
import numpy as np
import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.pruning import Cubic, SparsityMask
from tfopt.pruning.plan import Plan


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (3, 3, 4, 13)])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_config_holds_the_mask_bit_for_bit(shape, share):
    mask = np.random.default_rng(0).random(shape) < share
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(SparsityMask(mask))))
    loaded = keras.saving.deserialize_keras_object(config)
    np.testing.assert_array_equal(loaded.value, mask)
    assert loaded.value.dtype == bool
    assert loaded.plan is None
    assert loaded.constraint is None


def test_the_config_is_smaller_than_the_bits():
    mask = np.random.default_rng(0).random((256, 256)) < 0.1
    assert len(SparsityMask(mask).get_config()["mask"]) < mask.size / 8


def test_the_config_holds_the_users_constraint_and_the_plan():
    plan = Plan(0.8, Cubic(begin=5, end=0.5, frequency=3), "global")
    mask = SparsityMask(np.ones(3, bool), keras.constraints.MaxNorm(3), plan)
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(mask))
    assert loaded.plan == plan
    assert loaded.constraint.max_value == 3


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_zeros_are_plain_zeros_whatever_was_there(dtype):
    mask = SparsityMask(np.array([False, False, False, True, True]))
    weights = keras.ops.convert_to_tensor([-1.0, np.nan, np.inf, -2.0, 3.0], dtype)
    result = keras.ops.cast(mask(weights), "float32").numpy()
    np.testing.assert_array_equal(result, [0, 0, 0, -2, 3])
    assert not np.signbit(result[:3]).any()


def test_the_users_constraint_goes_first():
    mask = SparsityMask(np.array([[True], [False]]), lambda w: w + 1)
    np.testing.assert_array_equal(mask(keras.ops.zeros((2, 1))), [[1], [0]])


def test_a_plan_that_nobody_carries_out_is_an_error():
    mask = SparsityMask(np.ones(2, bool), plan=Plan(0.8, Cubic()))
    with pytest.raises(InvalidArgumentError, match=r"callbacks=\[tfopt.callbacks.PruningSchedule\(\)\]"):
        mask(keras.ops.zeros(2))


def test_another_shape_is_an_error():
    with pytest.raises(InvalidArgumentError, match=r"\(2,\).*\(3,\)"):
        SparsityMask(np.ones(2, bool))(keras.ops.zeros(3))
