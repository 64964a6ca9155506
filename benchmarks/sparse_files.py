"""What zeros are worth in a file: raw, sparse-encoded, compressed, and in time.

MobileNet at 96 pixels with random weights, 80 % of the weights of each kernel zero (and once in blocks of
16 along the axis that TFLite stores last), in each scheme that can be sparse: bytes of the dense and the
sparse file, both compressed by gzip, the bound of the entropy, and the ratio of the latencies in one
process. Outputs are compared bit by bit.

    python benchmarks/sparse_files.py [--sparsity 0.8]
"""

import argparse
import gzip

import keras
import numpy as np

import tfopt
from tfopt import measure

SCHEMES = ("float32", "float16", "int8", "int8_weights")


def mobilenet():
    keras.utils.set_random_seed(0)
    return keras.applications.MobileNet(weights=None, input_shape=(96, 96, 3), classes=10)


def in_blocks(model, sparsity, block=16):
    """Zero whole blocks of the input channels of each kernel."""
    generator = np.random.default_rng(0)
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if (
            kernel is not None
            and kernel.shape[-2] % block == 0
            and "depthwise" not in type(layer).__name__.lower()
        ):
            values = kernel.numpy()
            shape = (*values.shape[:-2], values.shape[-2] // block, 1, values.shape[-1])
            kept = np.repeat(generator.random(shape) >= sparsity, block, axis=-2).reshape(values.shape)
            kernel.assign(values * kept)
    return model


def row(name, model, scheme, x):
    dense, sparse = (tfopt.to_tflite(model, scheme, x, sparse=each) for each in (False, True))
    same = np.array_equal(dense.predict_quantized(x), sparse.predict_quantized(x))
    found = measure.latency({"dense": bytes(dense), "sparse": bytes(sparse)}, turns=30)["sparse"].ratio
    sizes = (len(dense), len(sparse), *(len(gzip.compress(bytes(file), 9)) for file in (dense, sparse)))
    numbers = "".join(f"{size:>12,}" for size in (*sizes, dense.summary().entropy_bytes))
    print(f"{name:<22}{scheme:<14}{numbers}{found:>9.3f}{'yes' if same else 'NO':>7}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sparsity", type=float, default=0.8)
    sparsity = parser.parse_args().sparsity
    heads = ("dense", "sparse", "dense gzip", "sparse gzip", "entropy")
    print(f"{'zeros':<22}{'scheme':<14}{''.join(f'{each:>12}' for each in heads)}{'latency':>9}{'same':>7}")
    x = np.random.default_rng(0).random((8, 96, 96, 3)).astype("float32")
    single = tfopt.prune(mobilenet(), sparsity)
    for scheme in SCHEMES:
        row("anywhere", single, scheme, x)
    blocks = in_blocks(mobilenet(), sparsity)
    for scheme in ("float32", "int8"):
        row("blocks of 16", blocks, scheme, x)
