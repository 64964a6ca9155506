"""What people write in call() is read as a graph: it computes the same at any batch size, and trains."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

from tfopt.graph import as_functional, nodes
from tfopt.quantization.canonical import canonical

_SPEC = importlib.util.spec_from_file_location("idioms", Path(__file__).with_name("idioms.py"))
idioms = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(idioms)

MODELS = {**{name: (lambda name=name: idioms.over(name)) for name in idioms.LAYERS}, **idioms.MODELS}


_TRAINABLE = [
    name
    for name in MODELS
    # A weight that is read beside its layer is one of its own from then on; a captured one was not Keras's.
    if name not in ("kernel_of_a_layer", "nested_model_with_a_constant")
]


def _samples(model, batch):
    rng = np.random.default_rng(batch)
    arrays = [
        rng.normal(size=(batch, *x.shape[1:])).astype("float32")
        if x.dtype == "float32"
        else rng.integers(0, 20, (batch, *x.shape[1:]))
        for x in as_functional(model).inputs
    ]
    return arrays if len(arrays) > 1 else arrays[0]


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_computes_the_same_at_any_batch_size(name):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    opened, _ = canonical(as_functional(model))
    assert all(type(node.operation).__module__.startswith(("keras.", "tfopt.")) for node in nodes(opened))
    for batch in (1, 3, 8):
        x = _samples(model, batch)
        keras.tree.map_structure(
            lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5), opened(x), model(x)
        )


@pytest.mark.parametrize("name", _TRAINABLE)
def test_what_was_trainable_is_trainable_once(name):
    model = MODELS[name]()
    opened, _ = canonical(as_functional(model))
    assert sum(np.prod(w.shape) for w in opened.trainable_weights) == sum(
        np.prod(w.shape) for w in model.trainable_weights
    )
