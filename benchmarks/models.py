"""Models that several benchmarks train."""


def small_cnn(library, activation=None):
    """Return three blocks of convolution, batch normalization, ReLU and pooling on 32x32 pixels, and a head.

    Args:
        library: `keras` or `tf_keras`.
        activation: of the ten outputs.
    """
    layers = library.layers
    blocks = [
        layer
        for width in (16, 32, 64)
        for layer in (
            layers.Conv2D(width, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
        )
    ]
    head = [layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(10, activation)]
    return library.Sequential([library.Input((32, 32, 3)), *blocks, *head], name="small_cnn")
