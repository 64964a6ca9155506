"""Models whose layers add to the loss by themselves, through a whole run."""

import warnings

import numpy as np
import pytest

import tfopt
from tests.at_length import some
from tests.quantization.models.loss_zoo import MODELS
from tfopt.stages import ExportTFLite, Prune, QuantizeAware, Train


@pytest.mark.parametrize("name", some(["experts", "subclassed"], ["subclassed"]))
def test_the_losses_of_models_and_files_are_of_their_outputs(name, tmp_path):
    model = MODELS[name]()
    x = np.random.default_rng(0).normal(size=(160, 5)).astype("float32")
    y = model.predict(x, verbose=0)
    model.compile("adam", "mse")
    data = tfopt.data.from_arrays(x, y, num_classes=None)
    stages = [Train(epochs=1), Prune(sparsity=0.3, epochs=1), QuantizeAware("int8", epochs=1), ExportTFLite()]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A .keras file of this model does not hold the masks")
        run = tfopt.Pipeline(stages).run(model, data, out=tmp_path, quiet=True)
    losses = [stage["metrics"]["loss"] for stage in run.record["stages"]]
    added = run.record["stages"][0]["history"]["loss"][-1] - losses[0]
    assert added > 0.05  # in training they count
    assert losses[3] == pytest.approx(losses[2], rel=0.2, abs=1e-3)
