"""Whole models: what is left of each computes what its masked copy does."""

import importlib.util
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tfopt.channels.cut import cut, masked
from tfopt.channels.dependency import dependencies
from tfopt.graph import copy

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import coverage  # noqa: E402
from zoo_models import models  # noqa: E402


def _module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


equality = _module(Path(__file__).with_name("equality.py"))
FOLDER = ROOT / "tests" / "quantization" / "models"
SMALL = {
    f"{path.stem}.{name}": make
    for path in (*sorted(FOLDER.glob("*zoo.py")), FOLDER / "operations_table.py")
    if not path.stem.startswith("test_")
    for name, make in _module(path).MODELS.items()
}
ENTRIES = models()


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_small_models(name):
    keras.utils.set_random_seed(0)
    equality.assert_cut_is_masked(SMALL[name](), 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", coverage.SIZES)
def test_applications(name):
    keras.utils.set_random_seed(0)
    model = coverage.build(keras.applications, name, classifier_activation=None)
    found, keep, smaller = equality.assert_cut_is_masked(model, 1)
    assert (~keep).sum() > 0.3 * found.count
    # Groups that LayerNormalization takes statistics over, half of ConvNeXt's, stay whole here.
    few = 0.5 if all(group.exact for group in found.groups) else 0.7
    assert smaller.count_params() < few * model.count_params()
    assert len(found.frozen) == 1  # the classifier, which is the output


def _repeats(model, x):
    model = copy(model)
    one, other = (equality.outputs_of(model, x) for _ in range(2))
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_models_in_the_style_of_public_examples(name):
    keras.utils.set_random_seed(0)
    model, x = ENTRIES[name].build()
    x = keras.tree.map_structure(lambda each: np.asarray(each)[:3], x)
    model(x)
    equality.give_weights(model)
    found = dependencies(model)
    keep = equality.kept_at_random(found, 1, only_exact=True)
    smaller, zeroed = cut(found, keep), masked(found, keep)
    if not _repeats(zeroed, x):
        pytest.skip("draws at random at inference")
    equality.assert_close(equality.outputs_of(found.model, x), equality.outputs_of(model, x), 1e-4)
    equality.assert_close(equality.outputs_of(smaller, x), equality.outputs_of(zeroed, x))
