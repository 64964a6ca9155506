"""What the code of users mentions."""

import functools

import keras
import numpy as np

from tfopt.graph.tracing.users_code import around_of, functions_in, mentions, methods, names_in


def _helper(x):
    return np.add(x, 1)


def _calls_helper(x):
    return _helper(x)


def _recursive(x):
    return _recursive(x - 1) if x else _helper(x)


def test_names_are_found_in_functions_within_too():
    def outer(x):
        return [np.sqrt(each) for each in x]

    assert {"np", "sqrt"} <= names_in(outer.__code__)


def test_what_is_around_is_read_from_module_and_closure():
    factor = 3

    def scaled(x):
        return np.multiply(x, factor)

    assert around_of(scaled) == {"np": np, "factor": 3}


def test_a_name_is_mentioned_through_functions_around():
    assert mentions(_calls_helper, "add")
    assert mentions(_recursive, "add")
    assert not mentions(_calls_helper, "subtract")


def test_functions_of_libraries_are_not_of_users():
    values = [_helper, np.mean, keras.ops.add, functools.partial(_helper), 3]
    assert list(functions_in(values)) == [_helper]


def test_methods_are_those_that_users_wrote():
    class Base(keras.layers.Layer):
        def call(self, x):
            return self.helped(x)

        def helped(self, x):
            return x

    class Derived(Base):
        def helped(self, x):
            return 2 * x

    found = list(methods(Derived))
    assert [name for name, _ in found] == ["helped", "call", "helped"]
    assert found[0][1] is Derived.helped
