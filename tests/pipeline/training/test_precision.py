import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.pipeline.training.precision import scaled, with_precision

PRECISIONS = ["mixed_bfloat16", "mixed_float16"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_all_but_the_outputs_compute_in_it_and_weights_stay_float32(small_cnn, precision):
    model = small_cnn()
    mixed = with_precision("Pipeline", model, precision)
    policies = {layer.name: layer.dtype_policy.name for layer in mixed.layers}
    assert policies.pop("head") == "float32"
    assert policies.pop("image") == "float32"
    assert {*policies.values()} == {precision}
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    x = np.random.default_rng(0).random((4, 8, 8, 1), "float32")
    np.testing.assert_allclose(mixed(x), model(x), atol=0.02)


def test_float32_takes_a_mixed_model_back_and_none_leaves_it(small_cnn):
    mixed = with_precision("Pipeline", small_cnn(), "mixed_float16")
    assert with_precision("Pipeline", mixed, None) is mixed
    plain = with_precision("Pipeline", mixed, "float32")
    assert {layer.dtype_policy.name for layer in plain.layers} == {"float32"}


def test_a_loaded_model_in_float16_gets_a_loss_scale(small_cnn, tmp_path):
    """Keras forgets, for the policy of a functional model is in no file."""
    mixed = with_precision("Pipeline", small_cnn(), "mixed_float16")
    mixed.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    optimizer = scaled(loaded, keras.optimizers.Adam())
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled(loaded, optimizer) is optimizer
    loaded.compile(keras.optimizers.Adam())
    assert not isinstance(loaded.optimizer, keras.optimizers.LossScaleOptimizer)  # the canary
    plain = keras.optimizers.Adam()
    assert scaled(with_precision("Pipeline", mixed, "mixed_bfloat16"), plain) is plain


def test_another_name(small_cnn):
    with pytest.raises(InvalidArgumentError, match="precision"):
        with_precision("Pipeline", small_cnn(), "float16")


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_stage_trains_in_it_to_the_file(digits, small_cnn, precision, tmp_path):
    model = small_cnn()
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    stages = [
        tfopt.Train(epochs=3),
        tfopt.PruneChannels(0.25, round_to=1, epochs=1),
        tfopt.Prune(0.5, epochs=2),
        tfopt.QuantizeAware("int8", epochs=1),
        tfopt.ExportTFLite(),
    ]
    run = tfopt.Pipeline(stages).run(model, digits, out=tmp_path, precision=precision, quiet=True)
    found = {layer.dtype_policy.name for layer in run.model("prune").layers}
    assert precision in found
    assert run.metrics["accuracy"] > 0.6
    assert {spec.dtype for spec in run.tflite.inputs} == {"int8"}
    assert run.typed.stages[-1].sparsity >= 0.45
