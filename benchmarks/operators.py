"""How fast LiteRT runs each operation in int8, as a ratio to float: what is worth quantizing.

One operation a file, on a tensor of 56x56 pixels and 64 channels; the int8 file takes and returns int8. Both
files take turns in one process. An operation that LiteRT's delegate (XNNPACK) does not take in int8 falls
back to reference code and shows a ratio far above 1. Where tfopt writes other operators for that reason, the
row shows what they became; rows below it the file as TensorFlow's converter writes it, and that with
`float_where_faster`.

`--costs` measures what `tfopt/export/xnnpack/costs.py` holds: each lowering of these operators, for several
sizes, fitted to so much a call, a row and an element.

    python benchmarks/operators.py [name ...]
    python benchmarks/operators.py --costs
"""

import argparse
from unittest import mock

import keras
import numpy as np
import scipy.optimize

import tfopt
from tfopt.export.flatbuffer.file import ParsedFile
from tfopt.export.flatbuffer.replace_operator import Replacement
from tfopt.export.flatbuffer.write import serialize
from tfopt.export.passes import plan
from tfopt.export.xnnpack import lower
from tfopt.export.xnnpack.costs import AS_IT_IS

L = keras.layers
SHAPE = (56, 56, 64)

OPERATIONS = {
    "Conv2D 1x1": lambda x: L.Conv2D(64, 1)(x),
    "Conv2D 3x3": lambda x: L.Conv2D(64, 3, padding="same")(x),
    "Conv2D 3x3 + BN + ReLU": lambda x: L.ReLU()(L.BatchNormalization()(L.Conv2D(64, 3, padding="same")(x))),
    "DepthwiseConv2D 3x3": lambda x: L.DepthwiseConv2D(3, padding="same")(x),
    "Conv2DTranspose": lambda x: L.Conv2DTranspose(64, 2, strides=2)(x),
    "Dense": lambda x: L.Dense(64)(x),
    "BatchNormalization alone": lambda x: L.BatchNormalization()(x),
    "Add": lambda x: L.Add()([x, L.MaxPooling2D(1)(x)]),
    "Multiply": lambda x: L.Multiply()([x, L.GlobalAveragePooling2D(keepdims=True)(x)]),
    "Concatenate": lambda x: L.Concatenate()([x, x]),
    "ReLU alone": lambda x: L.ReLU()(x),
    "ReLU6 alone": lambda x: L.ReLU(6.0)(x),
    "LeakyReLU": lambda x: L.LeakyReLU()(x),
    "PReLU": lambda x: L.PReLU(shared_axes=[1, 2], alpha_initializer=keras.initializers.Constant(0.25))(x),
    "GELU": lambda x: L.Activation("gelu")(x),
    "SiLU": lambda x: L.Activation("silu")(x),
    "hard-SiLU": lambda x: L.Activation("hard_silu")(x),
    "sigmoid": lambda x: L.Activation("sigmoid")(x),
    "tanh": lambda x: L.Activation("tanh")(x),
    "softmax": lambda x: L.Softmax()(x),
    "MaxPooling2D": lambda x: L.MaxPooling2D(2)(x),
    "AveragePooling2D": lambda x: L.AveragePooling2D(2)(x),
    "AveragePooling2D same": lambda x: L.AveragePooling2D(3, 1, padding="same")(x),
    "AveragePooling2D whole": lambda x: L.AveragePooling2D(56)(x),
    "GlobalAveragePooling2D": lambda x: L.GlobalAveragePooling2D()(x),
    "GlobalMaxPooling2D": lambda x: L.GlobalMaxPooling2D()(x),
    "UpSampling2D nearest": lambda x: L.UpSampling2D()(x),
    "UpSampling2D bilinear": lambda x: L.UpSampling2D(interpolation="bilinear")(x),
    "ZeroPadding2D": lambda x: L.ZeroPadding2D()(x),
    "LayerNormalization": lambda x: L.LayerNormalization()(x),
    "ELU": lambda x: L.ELU()(x),
}


_slopes = keras.initializers.Constant(0.25)
_IMAGES = ((56, 56, 64), (28, 28, 32), (14, 14, 128), (8, 8, 16), (4, 4, 4), (1024,))
SIZES: dict[str, list] = {
    "AVERAGE_POOL_2D": [
        (shape, L.AveragePooling2D(pool, strides, padding))
        for shape, pool, strides, padding in (
            ((56, 56, 64), 2, 2, "valid"),
            ((56, 56, 64), 3, 1, "same"),
            ((28, 28, 128), 3, 1, "valid"),
            ((17, 17, 256), 3, 1, "same"),
            ((16, 16, 32), 3, 2, "same"),
            ((17, 17, 256), 5, 3, "valid"),
            ((8, 8, 16), 2, 2, "valid"),
            ((8, 8, 512), 8, 8, "valid"),
            ((14, 14, 64), 14, 14, "valid"),
            ((4, 4, 16), 4, 4, "valid"),
            ((14, 14, 64), 7, 7, "valid"),
        )
    ],
    "PRELU": [
        (shape, L.PReLU(_slopes, shared_axes=[1, 2][: len(shape) - 1] if shared else None))
        for shape in _IMAGES
        for shared in (True, False)
    ],
    "RELU": [(shape, L.ReLU()) for shape in _IMAGES],
    "RELU6": [(shape, L.ReLU(6.0)) for shape in _IMAGES],
    "HARD_SWISH": [(shape, L.Activation("hard_silu")) for shape in _IMAGES],
    "SOFTMAX": [
        (shape, L.Softmax())
        for shape in ((56, 56, 64), (4, 64, 64), (4, 16, 16), (32, 32, 2), (8, 8, 4), (1000,), (10,))
    ],
}
"""Operator -> shapes and layers that its costs are measured on."""


def as_converted(model, *args):
    """Return the file as the converter writes it."""

    def unchanged(_file, **_options):
        return False

    with mock.patch.object(plan, "lower_for_xnnpack", unchanged):
        return tfopt.to_tflite(model, *args)


def model_of(shape, make):
    """Return a model of one operation, and samples."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
    return keras.Model(inputs, make(inputs)), x


def files(make):
    """Return an operation's files: in float, in int8, and what that would be otherwise if it differs."""
    model, x = model_of(SHAPE, make)
    aware = tfopt.quantize_aware(model)
    tfopt.quantization.calibrate(aware, x)
    found = {"float": tfopt.to_tflite(model), "int8": tfopt.to_tflite(aware)}
    others = {
        "as converted": as_converted(aware),
        "float where faster": tfopt.to_tflite(aware, float_where_faster=True),
    }
    return found | {name: file for name, file in others.items() if bytes(file) != bytes(found["int8"])}


def lowerings(content, name):
    """Return lowering -> the file with its operator `name` lowered so, and how much work it is."""
    found = {AS_IT_IS: content}
    for lowering, make in lower.LOWERINGS[name].items():
        file = ParsedFile(content)
        (call,) = (each for each in file.calls() if each.name == name)
        work = lower.work_of(call)
        replacement = Replacement(file.model, call.graph, call.operator)
        if make(replacement):
            replacement.apply()
            found[lowering] = serialize(file.model)
    return found, work


def print_costs(turns):
    """Print the rows of the table of costs."""
    for name, sizes in SIZES.items():
        seen = {}
        for shape, layer in sizes:
            model, x = model_of(shape, layer)
            variants, work = lowerings(bytes(as_converted(model, "int8", x)), name)
            for lowering, latency in tfopt.measure.latency(variants, turns=turns).items():
                micros = 1e6 * latency.median_seconds
                counts = work.rows, work.elements, work.inputs
                seen.setdefault(lowering, []).append((micros, (1.0, *(1e-3 * count for count in counts))))
        for lowering, points in seen.items():
            micros, terms = (np.array(each) for each in zip(*points, strict=True))
            # Relative errors: a small operator's lowering is to be chosen as well as a large one's.
            fitted, _ = scipy.optimize.nnls(terms / micros[:, None], np.ones(len(micros)))
            print(f'    ("{name}", "{lowering}"): Cost({", ".join(f"{x:.2g}" for x in fitted)}),', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help="part of a row's name")
    parser.add_argument("--costs", action="store_true", help="measure the table of operator costs instead")
    parser.add_argument("--turns", type=int, default=50, help="how often each file has its turn")
    given = parser.parse_args()
    if given.costs:
        print_costs(given.turns)
        return
    print(f"{'operation':<26}{'float':>10}{'int8':>10}{'ratio':>8}  operators of the int8 file")
    for name, make in OPERATIONS.items():
        if given.names and not any(part.lower() in name.lower() for part in given.names):
            continue
        variants = files(make)
        times = tfopt.measure.latency(
            {each: bytes(file) for each, file in variants.items()}, turns=given.turns
        )
        for each, file in list(variants.items())[1:]:
            operators = ", ".join(
                f"{operator.count} {operator.name}" if operator.count > 1 else operator.name
                for operator in file.summary().operators
            )
            title = name if each == "int8" else f"  {each}"
            micros = [1e6 * times[key].median_seconds for key in ("float", each)]
            figures = f"{micros[0]:>7.0f} us{micros[1]:>7.0f} us{times[each].ratio:>7.2f}x"
            print(f"{title:<26}{figures}  {operators}", flush=True)


if __name__ == "__main__":
    main()
