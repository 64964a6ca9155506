"""The layer that lets Keras 3 train a tf_keras model."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.pruning import Cubic
from tfopt.tfmot.bridge import TFMOTModel


def test_it_trains_and_is_reset_with_the_very_variables_of_the_module(cnn):
    bridge = tfopt.tfmot.bridge_of(tfopt.prune(cnn(), 0.5, engine="tfmot"))
    held = {id(variable) for variable in bridge.module.weights}
    assert held <= {id(variable.value) for variable in bridge.shared}
    kernel = bridge.module.get_layer("prune_low_magnitude_head").layer.kernel
    shared = next(variable for variable in bridge.shared if variable.value is kernel)
    shared.assign(np.ones(shared.shape))
    assert kernel.numpy().all()


def test_variables_have_the_paths_of_the_layers_that_rules_name(cnn, some_digits, logits_loss):
    model = tfopt.prune(cnn(), 0.5, engine="tfmot")
    paths = {variable.path.rpartition("/")[0] for variable in model.trainable_variables}
    assert paths == {"conv1", "bn1", "conv2", "head"}
    slower = tfopt.optimizers.LayerwiseLearningRate(keras.optimizers.SGD(), rules={"head": 0.5})
    model.compile(slower, logits_loss)
    clipping = tfopt.callbacks.GradientClipping("adaptive", rules={"head": None})
    model.fit(*some_digits, verbose=0, callbacks=[clipping])


def test_trainable_is_passed_on(cnn):
    source = cnn()
    source.get_layer("bn1").trainable = False
    model = tfopt.prune(source, 0.5, engine="tfmot")
    bridge = tfopt.tfmot.bridge_of(model)
    assert not [variable.name for variable in model.trainable_variables if "bn1" in variable.name]
    assert not bridge.module.get_layer("bn1").trainable
    bridge.trainable = False
    assert model.trainable_variables == []
    assert not bridge.module.trainable


@pytest.mark.slow
def test_constraints_hold(cnn, some_digits, logits_loss):
    source = cnn(kernel_constraint=keras.constraints.MaxNorm(0.5))
    model = tfopt.prune(source, 0.5, engine="tfmot", rules={"conv1": None})
    model.compile(keras.optimizers.SGD(1.0), logits_loss)
    model.fit(*some_digits, verbose=0)
    norms = np.linalg.norm(tfopt.tfmot.strip(model).get_layer("conv1").kernel.numpy(), axis=0)
    assert norms.max() <= 0.5 + 1e-5


@pytest.mark.slow
def test_training_is_that_of_keras_3(some_digits, logits_loss):
    """Losses, batch statistics and weights of an unpruned model, step by step against Keras 3's own."""
    x, y = some_digits
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Conv2D(4, 3, use_bias=False, kernel_regularizer="l2", name="conv")(inputs)
    hidden = keras.layers.BatchNormalization(name="bn")(hidden)
    outputs = keras.layers.Dense(10, name="head")(keras.layers.Flatten()(hidden))
    plain = keras.Model(inputs, outputs)
    bridged = tfopt.prune(plain, 0.0, engine="tfmot")
    histories = []
    for model in (plain, bridged):
        model.compile(keras.optimizers.Adam(0.01), logits_loss)
        histories.append(model.fit(x, y, epochs=3, shuffle=False, verbose=0).history["loss"])
    assert np.allclose(*histories, rtol=1e-4)
    stripped = tfopt.tfmot.strip(bridged)
    for one, two in zip(plain.get_weights(), stripped.get_weights(), strict=True):
        assert np.allclose(one, two, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_mixed_precision_trains_and_is_written_in_float32(some_digits, logits_loss):
    x, y = some_digits
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        source = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Conv2D(4, 3, activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(10, dtype="float32"),
            ]
        )
        model = tfopt.quantize_aware(tfopt.prune(source, 0.5), engine="tfmot")
    finally:
        keras.config.set_dtype_policy(policy)
    tfopt.quantization.calibrate(model, x)
    model.compile("adam", logits_loss)
    model.fit(x, y, verbose=0)
    assert tfopt.measure.sparsity(model) == pytest.approx(0.5, abs=0.01)
    file = tfopt.to_tflite(model)
    assert file.summary().scheme == "int8"
    assert not file.summary().float_operators
    assert np.mean(file.predict(x).argmax(axis=1) == model.predict(x, verbose=0).argmax(axis=1)) > 0.9


@pytest.mark.slow
def test_names_and_structure_of_inputs_and_outputs_are_kept(tmp_path):
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")
    joined = keras.layers.Concatenate()([hidden(a), hidden(b)])
    outputs = {"p": keras.layers.Dense(3, name="hp")(joined), "q": keras.layers.Dense(2, name="hq")(joined)}
    source = keras.Model({"a": a, "b": b}, outputs)
    model = tfopt.prune(source, 0.5, engine="tfmot")
    x = {"a": np.ones((8, 4), "float32"), "b": np.zeros((8, 4), "float32")}
    y = {"p": np.zeros((8, 3)), "q": np.zeros((8, 2))}
    model.compile("sgd", loss={"p": "mse", "q": "mae"})
    model.fit(x, y, verbose=0)
    answers = tfopt.tfmot.strip(model).predict(x, verbose=0)
    for name, value in model.predict(x, verbose=0).items():
        assert np.allclose(answers[name], value, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nested", "sequential", "shared"])
def test_kinds_of_models(kind, logits_loss, some_digits):
    x, y = some_digits
    keras.utils.set_random_seed(0)
    conv = [keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")]
    block = keras.Sequential([keras.Input((8, 8, 1)), *conv], name="block")
    inputs = keras.Input((8, 8, 1))
    dense = keras.layers.Dense(64, activation="relu", name="dense")
    head = keras.layers.Dense(10, name="head")
    flat = keras.layers.Flatten()
    source = {
        "nested": lambda: keras.Model(inputs, head(flat(block(inputs)))),
        "sequential": lambda: keras.Sequential([keras.Input((8, 8, 1)), *conv, flat, head]),
        "shared": lambda: keras.Model(inputs, head(dense(dense(flat(inputs))))),
    }[kind]()
    stripped = tfopt.tfmot.strip(tfopt.prune(source, 0.5, engine="tfmot"))
    assert tfopt.measure.sparsity(stripped) == pytest.approx(0.5, abs=0.01)
    model = tfopt.quantize_aware(stripped, engine="tfmot")
    tfopt.quantization.calibrate(model, x)
    model.compile("adam", logits_loss)
    model.fit(x, y, verbose=0)
    assert tfopt.measure.sparsity(model) == pytest.approx(0.5, abs=0.01)
    file = tfopt.to_tflite(model)
    assert file.summary().scheme == "int8"
    assert file.verify(model, x).passed


@pytest.mark.slow
def test_a_pipeline_resumes_in_a_stage_of_the_engine(cnn, digits, tmp_path):
    """The interrupted run ends with the weights of the one that was not, dropout and all."""

    class Stop(keras.callbacks.Callback):
        armed = False

        def on_epoch_end(self, epoch, logs=None):
            bridged = any(isinstance(layer, TFMOTModel) for layer in self.model.layers)
            if Stop.armed and bridged and epoch == 1:
                raise KeyboardInterrupt

    def run(out):
        model = cnn()
        model.compile(
            "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
        )
        stages = [
            tfopt.Prune(0.5, epochs=3, engine="tfmot"),
            tfopt.QuantizeAware(epochs=1, engine="tfmot"),
            tfopt.ExportTFLite(),
        ]
        return tfopt.Pipeline(stages).run(model, digits, out=tmp_path / out, callbacks=[Stop()], quiet=True)

    whole = run("whole")
    Stop.armed = True
    with pytest.raises(KeyboardInterrupt):
        run("cut")
    Stop.armed = False
    resumed = run("cut")
    for one, two in zip(whole.record["stages"], resumed.record["stages"], strict=True):
        assert one["metrics"] == two["metrics"]
        assert one["sparsity"] == two["sparsity"]
    assert resumed.record["stages"][-1]["sparsity"] > 0.49


@pytest.mark.slow
def test_a_driven_schedule_that_has_ended_needs_its_callback_no_more(cnn, some_digits, logits_loss):
    x, y = some_digits
    model = tfopt.prune(cnn(), 0.5, schedule=Cubic(begin=0, end=2), engine="tfmot")
    model.compile("sgd", logits_loss)
    model.fit(x, y, batch_size=64, verbose=0, callbacks=[tfopt.callbacks.PruningSchedule()])
    model.compile("sgd", logits_loss)
    model.fit(x[:64], y[:64], verbose=0)
    assert tfopt.measure.sparsity(tfopt.tfmot.strip(model)) == pytest.approx(0.5)
