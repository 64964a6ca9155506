"""MNIST: the CNN of digits.py with epochs for 60,000 images, pruned and quantized to an int8 file.

Quality target: 99 % in int8.

    tfopt run recipes/mnist.py [--data mnist.npz]

Without `--data`, Keras downloads MNIST. A file of your own holds x_train, y_train, x_test, y_test, as
Keras's does.
"""

import keras
from digits import small_cnn

import tfopt


def images(source="mnist"):
    """Images in classes."""
    data = tfopt.data.load(source)
    return data.require(
        input_shape=(None, None, None), classes=True, why="The recipe is for images in classes."
    )


def recipe(hp, data, train, prune, quantize):
    """The recipe with so many epochs of training, pruning and quantization-aware training."""
    return tfopt.Recipe(
        data=data,
        model=lambda data: small_cnn(
            data.input_shape, data.num_classes, width=hp.Int("width", 8, 32, step=8, default=16)
        ),
        optimizer=lambda steps: keras.optimizers.Adam(
            tfopt.schedules.WarmupCosine(
                hp.Float("lr", 1e-4, 1e-2, sampling="log", default=2e-3),
                warmup_steps=steps // 20,
                total_steps=steps,
            )
        ),
        stages=[
            tfopt.Train(epochs=train),
            tfopt.Prune(
                sparsity=hp.Float("sparsity", 0.5, 0.95, default=0.8), epochs=prune, rules={"conv1": None}
            ),
            tfopt.QuantizeAware("int8", epochs=quantize),
            tfopt.ExportTFLite(max_drop=0.005),
        ],
        batch_size=128,
    )


def build(hp):
    return recipe(hp, images, train=4, prune=4, quantize=2)
