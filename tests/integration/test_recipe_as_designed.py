"""The recipe of the design, to the letter: a model of no arguments, hyperparameters inside functions."""

import textwrap

import tfopt

RECIPE = textwrap.dedent(
    """
    import keras
    import tfopt

    def small_cnn(width):
        return keras.Sequential([
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(width, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ])

    def build(hp):
        return tfopt.Recipe(
            data=tfopt.data.load("digits"),
            model=lambda: small_cnn(width=hp.Int("width", 8, 32, step=8, default=16)),
            optimizer=lambda steps: tfopt.optimizers.Adan(
                tfopt.schedules.WarmupCosine(hp.Float("lr", 1e-4, 1e-2, sampling="log", default=3e-3),
                                             warmup_steps=steps // 20, total_steps=steps)),
            callbacks=[tfopt.callbacks.GradientClipping("adaptive")],
            stages=[tfopt.Train(epochs=20),
                    tfopt.Prune(sparsity=hp.Float("sparsity", 0.5, 0.95, default=0.8)),
                    tfopt.QuantizeAware("int8"), tfopt.ExportTFLite()],
        )
    """
)


def test_it_runs_and_learns(tmp_path):
    path = tmp_path / "digits.py"
    path.write_text(RECIPE)
    run = tfopt.Recipe.from_file(path, values={"width": 8}).run(out=tmp_path / "out", quiet=True)
    assert [stage["title"] for stage in run.record["stages"]] == [
        "trained", "pruned", "quantization-aware", "int8 TFLite"
    ]  # fmt: skip
    assert run.record["recipe"]["values"] == {"sparsity": 0.8, "width": 8, "lr": 3e-3}
    assert run.metrics["accuracy"] > 0.4  # after one epoch of pruning to 80 %; a guess has 0.1
    assert "int8 TFLite" in run.report
    assert run.tflite.predict(tfopt.data.load("digits").x_test[:8]).shape == (8, 10)
