"""What a teacher is worth: students of a fifth of the arithmetic, and in int4, with it and without.

Trains a CNN on some of scikit-learn's digits, noisy and few, so that there is something to lose (on all of
them everything is above 98 %). Then two students: channels removed down to 20 % of the multiply-accumulates,
and int4 weights with int8 activations. Each trains the same epochs on the targets alone, and from the CNN
too, from the same weights with the same batches. Accuracy of the int4 student is that of its file in LiteRT.
Prints the accuracy on the test split, each seed and the mean, the gain in points, and the time of a training
step with the teacher by that without, measured in turns in this process.

    python benchmarks/distillation.py [--seeds 0 1 2] [--samples 300] [--noise 0.35] [--epochs 30]
    python benchmarks/distillation.py --data cifar10.npz --samples 6000 --noise 0 --epochs 12 --width 24
    python benchmarks/distillation.py --data cifar10.npz --samples 12000 --noise 0 --network resnet_20 \
        --width 16 --batch 64 --flips --teacher-epochs 25 --epochs 15 --student-rate 3e-3

A file of your own has x_train, y_train, x_test and y_test, images of 0 to 255.
"""

import argparse
import contextlib
import statistics
import time
from pathlib import Path

import keras
import numpy as np
from models import batches, compiled, kept, resnet_20

import tfopt
from tfopt.distillation import distilling

L = keras.layers
BATCH, ROUNDS, STEPS = 32, 7, 15


def cnn(shape=(8, 8, 1), classes=10, width=32):
    """Return a CNN of two stages for small images."""
    inputs = keras.Input(shape)
    x = inputs
    for number, filters in enumerate((width, 2 * width, 2 * width)):
        x = L.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = L.ReLU()(L.BatchNormalization(momentum=0.9)(x))
        x = L.MaxPooling2D()(x) if number == 1 else x
    return keras.Model(inputs, L.Dense(classes, name="head")(L.GlobalAveragePooling2D()(x)), name="network")


def images(samples, noise, seed, source="digits"):
    """Return few noisy images to train on, and all noisy ones of the test split."""
    data = tfopt.data.load(source)
    rng = np.random.default_rng(seed)
    some = rng.permutation(len(data.x_train))[:samples]
    x, x_test = data.x_train[some], data.x_test
    x, x_test = ((a + rng.normal(scale=noise, size=a.shape)).astype("float32") for a in (x, x_test))
    return x, data.y_train[some], x_test, data.y_test


def taught(model, teacher, asked):
    """Return the context in which a model learns from a teacher, or from none."""
    if teacher is None:
        return contextlib.nullcontext()
    return distilling(model, teacher, temperature=asked.temperature, student_weight=asked.student_weight)


def accuracy(outputs, y):
    return float(np.mean(np.argmax(outputs, -1) == y))


NETWORKS = {"cnn": cnn, "resnet_20": resnet_20}
STUDENTS = {
    "20 % of the MACs": lambda model: tfopt.prune_channels(model, macs=0.2, round_to=1),
    "int4": lambda model: tfopt.quantize_aware(model, "int4"),
}


def step_ratio(make, teacher, x, y, asked):
    """Return the time of a training step with a teacher by that without; the median over rounds."""
    times, batch = {}, (x[: asked.batch], y[: asked.batch])
    with contextlib.ExitStack() as stack:
        models = {}
        for name, who in (("alone", None), ("taught", teacher)):
            models[name] = compiled(make(), 1e-3, ROUNDS * STEPS)
            stack.enter_context(taught(models[name], who, asked))
            models[name].train_on_batch(*batch)
            times[name] = []
        for _ in range(ROUNDS):
            for name, model in models.items():
                start = time.perf_counter()
                for _ in range(STEPS):
                    model.train_on_batch(*batch)
                times[name].append(time.perf_counter() - start)
    return statistics.median(b / a for a, b in zip(times["alone"], times["taught"], strict=True))


def options(description, epochs):
    """Return the parser of what says on what is trained, and for how many epochs by default."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--noise", type=float, default=0.35)
    parser.add_argument("--epochs", type=int, default=epochs)
    return parser


def arguments():
    parser = options(__doc__, epochs=30)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--network", choices=NETWORKS, default="cnn")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--flips", action="store_true", help="train on flipped and moved images")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--teacher-epochs", type=int, help="twice --epochs if not given")
    parser.add_argument("--teacher-rate", type=float, default=3e-3)
    parser.add_argument("--student-rate", type=float, default=1e-3)
    parser.add_argument("--temperature", type=float, default=4.0)
    parser.add_argument("--student-weight", type=float, default=0.5, help="the weight of the targets")
    parser.add_argument("--students", nargs="+", choices=STUDENTS, default=list(STUDENTS))
    parser.add_argument("--cache", type=Path, help="a folder to keep the teachers in, for other runs")
    asked = parser.parse_args()
    asked.teacher_epochs = asked.teacher_epochs or 2 * asked.epochs
    return asked


def trained(model, data, rate, epochs, who, asked):
    """Return the model, trained from a teacher too where there is one."""
    compiled(model, rate, epochs * len(data))
    with taught(model, who, asked):
        model.fit(data, epochs=epochs, verbose=0)
    return model


def teacher_of(x, y, seed, asked):
    keras.utils.set_random_seed(seed)
    new = NETWORKS[asked.network](x.shape[1:], int(y.max()) + 1, asked.width)
    said = "-".join(
        f"{name}{getattr(asked, name)}"
        for name in ("samples", "noise", "width", "flips", "batch", "teacher_epochs", "teacher_rate")
    )
    data = batches(x, y, seed, asked.batch, asked.flips)
    return kept(
        asked.cache,
        f"{asked.network}-seed{seed}-{said}",
        lambda: trained(new, data, asked.teacher_rate, asked.teacher_epochs, None, asked),
    )


def main():
    asked = arguments()
    found = {name: [] for name in asked.students}
    floats, ratios = [], {}
    for seed in asked.seeds:
        x, y, x_test, y_test = images(asked.samples, asked.noise, seed, asked.data)
        teacher = teacher_of(x, y, seed, asked)
        floats.append(accuracy(teacher.predict(x_test, verbose=0), y_test))
        print(f"seed {seed}, the float model: {floats[-1]:.4f}", flush=True)
        for name in asked.students:
            pair = []
            for who in (None, teacher):
                keras.utils.set_random_seed(100 + seed)
                data = batches(x, y, 100 + seed, asked.batch, asked.flips)
                student = STUDENTS[name](teacher)
                model = trained(student, data, asked.student_rate, asked.epochs, who, asked)
                runs = (
                    tfopt.to_tflite(model).predict(x_test)
                    if name == "int4"
                    else model.predict(x_test, verbose=0)
                )
                pair.append(accuracy(runs, y_test))
            found[name].append(pair)
            print(f"seed {seed}, {name}: {pair[0]:.4f} alone, {pair[1]:.4f} taught", flush=True)
            if name not in ratios:
                ratios[name] = step_ratio(
                    lambda name=name, teacher=teacher: STUDENTS[name](teacher), teacher, x, y, asked
                )
    print(f"\n{asked.samples} samples, noise {asked.noise}, {asked.epochs} epochs; {len(y_test)} test images")
    print(f"the float model: {' '.join(f'{100 * each:.2f}' for each in floats)}")
    print(f"{'student':<20}{'alone':>26}{'taught':>26}{'gain':>8}{'step':>8}")
    for name, pairs in found.items():
        columns = [[100 * pair[place] for pair in pairs] for place in (0, 1)]
        shown = [
            f"{statistics.mean(each):.2f} ({', '.join(f'{value:.2f}' for value in each)})" for each in columns
        ]
        gain = statistics.mean(columns[1]) - statistics.mean(columns[0])
        print(f"{name:<20}{shown[0]:>26}{shown[1]:>26}{gain:>+8.2f}{ratios[name]:>7.2f}x")


if __name__ == "__main__":
    main()
