"""The examples in the docstrings of optimizers, schedules and callbacks run, and print what they say."""

import doctest

import keras
import numpy as np
import pytest

from tfopt import callbacks, optimizers, schedules, trainers

PACKAGES = (optimizers, schedules, callbacks, trainers)
OBJECTS = {name: getattr(package, name) for package in PACKAGES for name in package.__all__}
EXAMPLES = {name: kind for name, kind in OBJECTS.items() if ">>>" in (kind.__doc__ or "")}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax", name="head")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    names = {**OBJECTS, "keras": keras, "np": np, "model": model, "x": np.ones((8, 4)), "y": np.zeros(8)}
    parser, runner, said = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS), []
    runner.run(parser.get_doctest(EXAMPLES[name].__doc__, names, name, None, 0), out=said.append)
    assert not runner.summarize(verbose=False).failed, "".join(said)
