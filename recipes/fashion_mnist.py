"""Fashion-MNIST: the recipe of mnist.py with the epochs that clothes need, pruned and quantized to int8.

Quality target: an int8 file within half a point of the float model.

    tfopt run recipes/fashion_mnist.py [--data fashion_mnist.npz]

Without `--data`, Keras downloads Fashion-MNIST.
"""

from mnist import images, recipe


def clothes(source="fashion_mnist"):
    """Images in classes."""
    return images(source)


def build(hp):
    return recipe(hp, clothes, train=12, prune=10, quantize=4)
