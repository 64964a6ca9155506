import keras
import numpy as np

from tfopt.pipeline.training.state import capture, restore


class Holder:
    def __init__(self):
        self.count = 0
        self.best = None
        self.weights = None
        self.pair = (1, "a")
        self.by_name = {}
        self.by_id = {id(self): 1}
        self.function = None
        self.closure = lambda: None
        self.variable = keras.Variable([0.0, 0.0])
        self.params = {"epochs": 3}


def test_plain_attributes_arrays_and_variables_come_back():
    before = Holder()
    before.count, before.best = 5, np.float32(0.5)
    before.weights = [np.arange(3), np.ones((2, 2), np.float32)]
    before.by_name = {"a": [1.5, None, True]}
    before.function = keras.ops.less
    before.variable.assign([1.0, 2.0])
    arrays = {}
    state = capture(before, arrays, "x/")
    assert set(state) == {"count", "best", "weights", "pair", "by_name", "function", "variable"}

    after = Holder()
    kept = after.variable
    restore(after, state, arrays)
    assert (after.count, after.best, after.pair, after.by_name) == (
        5,
        0.5,
        (1, "a"),
        {"a": [1.5, None, True]},
    )
    np.testing.assert_array_equal(after.weights[0], np.arange(3))
    assert after.function is keras.ops.less
    assert after.variable is kept  # a traced step holds it
    np.testing.assert_array_equal(after.variable, [1.0, 2.0])
    assert after.by_id == {id(after): 1}


def test_a_variable_that_is_not_there_yet_is_left_out():
    holder = Holder()
    arrays = {}
    state = capture(holder, arrays, "")
    holder.variable = None
    restore(holder, state, arrays)
    assert holder.variable is None


def test_lists_of_variables_are_assigned_to_where_they_are():
    class Several:
        def __init__(self, values):
            self.several = [keras.Variable([value, 0.0]) for value in values]

    before, after, arrays = Several([1.0, 2.0]), Several([0.0, 0.0]), {}
    kept = list(after.several)
    restore(after, capture(before, arrays, "x/"), arrays)
    assert all(a is b for a, b in zip(after.several, kept, strict=True))
    assert [float(variable.numpy()[0]) for variable in kept] == [1.0, 2.0]
