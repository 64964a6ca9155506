"""What quantization-aware training costs a step, and how close the file is to the model.

Prints the time of a training step of the quantization-aware model as a ratio to the plain model's,
measured in turn in one process, and the difference of the int8 file's outputs from the model's.

    python benchmarks/quantization.py
"""

import statistics
import time

import keras
import numpy as np
from models import small_cnn

import tfopt
from tfopt.quantization import calibrate

ROUNDS, STEPS = 7, 12


def mobilenet():
    return keras.applications.MobileNet((96, 96, 3), alpha=0.25, weights=None, classes=10)


def seconds_a_step(models, x, y):
    """Return name -> the median over rounds of the seconds that a training step takes."""
    times = {name: [] for name in models}
    for model in models.values():
        model.fit(x, y, batch_size=32, verbose=0)  # traces the step
    for _ in range(ROUNDS):
        for name, model in models.items():
            start = time.perf_counter()
            for _ in range(STEPS):
                model.train_on_batch(x[:32], y[:32])
            times[name].append((time.perf_counter() - start) / STEPS)
    return {name: statistics.median(values) for name, values in times.items()}


def main():
    print(f"{'model':<12}{'plain step':>14}{'QAT step':>12}{'ratio':>8}", end="")
    print(f"{'max LSB':>10}{'mean LSB':>10}{'agree':>8}")
    for make in (lambda: small_cnn(keras), mobilenet):
        keras.utils.set_random_seed(0)
        model = make()
        rng = np.random.default_rng(0)
        x = rng.normal(size=(128, *model.input_shape[1:])).astype("float32")
        y = rng.integers(0, 10, 128)
        quantized = tfopt.quantize_aware(model)
        calibrate(quantized, x)
        for each in (model, quantized):
            probabilities = each.predict(x[:1], verbose=0).sum() > 0.99
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not probabilities)
            each.compile("sgd", loss)
        times = seconds_a_step({"plain": model, "QAT": quantized}, x, y)
        difference = tfopt.to_tflite(quantized).verify(quantized, x)
        print(
            f"{model.name[:11]:<12}{times['plain'] * 1e3:>11.1f} ms{times['QAT'] * 1e3:>9.1f} ms"
            f"{times['QAT'] / times['plain']:>8.2f}{difference.max_lsb:>10}{difference.mean_lsb:>10.3f}"
            f"{difference.top1_agreement:>8.3f}"
        )


if __name__ == "__main__":
    main()
