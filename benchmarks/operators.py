"""How fast LiteRT runs each operation in int8, as a ratio to float: what is worth quantizing.

One operation a file, on a tensor of 56x56 pixels and 64 channels; the int8 file takes and returns int8. Both
files take turns in one process. An operation that LiteRT's delegate (XNNPACK) does not take in int8 falls
back to reference code and shows a ratio far above 1; where tfopt rewrites an operation for that reason, the
row shows what it became.

    python benchmarks/operators.py [name ...]
"""

import argparse

import keras
import numpy as np

import tfopt

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
    "GlobalAveragePooling2D": lambda x: L.GlobalAveragePooling2D()(x),
    "GlobalMaxPooling2D": lambda x: L.GlobalMaxPooling2D()(x),
    "UpSampling2D nearest": lambda x: L.UpSampling2D()(x),
    "UpSampling2D bilinear": lambda x: L.UpSampling2D(interpolation="bilinear")(x),
    "ZeroPadding2D": lambda x: L.ZeroPadding2D()(x),
    "LayerNormalization": lambda x: L.LayerNormalization()(x),
    "ELU": lambda x: L.ELU()(x),
}


def files(make):
    """Return the float and the int8 file of an operation."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, make(inputs))
    quantized = tfopt.quantize_aware(model)
    x = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")
    tfopt.quantization.calibrate(quantized, x)
    return tfopt.to_tflite(model), tfopt.to_tflite(quantized)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help="part of a row's name")
    wanted = parser.parse_args().names
    print(f"{'operation':<26}{'float':>10}{'int8':>10}{'ratio':>8}  operators of the int8 file")
    for name, make in OPERATIONS.items():
        if wanted and not any(part.lower() in name.lower() for part in wanted):
            continue
        floats, integers = files(make)
        times = tfopt.measure.latency({"float": bytes(floats), "int8": bytes(integers)})
        operators = ", ".join(
            f"{operator.count} {operator.name}" if operator.count > 1 else operator.name
            for operator in integers.summary().operators
        )
        micros = {each: 1e6 * times[each].median_seconds for each in times}
        figures = f"{micros['float']:>7.0f} us{micros['int8']:>7.0f} us{times['int8'].ratio:>7.2f}x"
        print(f"{name:<26}{figures}  {operators}", flush=True)


if __name__ == "__main__":
    main()
