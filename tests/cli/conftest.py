"""Models and data for the commands, and a way to call these in this process."""

import keras
import numpy as np
import pytest
from PIL import Image

from tfopt.cli.main import main


@pytest.fixture
def tfopt_cli(capsys):
    """Call the command line in this process: return exit code, standard output and standard error."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def stripes(tmp_path_factory):
    """A folder of 2 x 60 gray images, stripes across and along, and a model of RGB images that knows them."""
    folder = tmp_path_factory.mktemp("stripes")
    rng = np.random.default_rng(0)
    images, labels = [], []
    for label, name in enumerate(("across", "along")):
        (folder / "data" / name).mkdir(parents=True)
        for number in range(60):
            image = np.tile(np.arange(12)[:, None] % 4 < 2, (1, 12)) * 160 + rng.integers(0, 80, (12, 12))
            image = (image if label == 0 else image.T).astype(np.uint8)
            Image.fromarray(image).save(folder / "data" / name / f"{number}.png")
            images.append(image)
            labels.append(label)
    x = np.repeat(np.stack(images)[..., None], 3, axis=-1) / np.float32(255)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3), name="image"),
            keras.layers.Conv2D(4, 4, strides=2, activation="relu", name="conv"),
            keras.layers.GlobalMaxPooling2D(name="pool"),
            keras.layers.Dense(2, activation="softmax", name="head"),
        ],
        name="stripes",
    )
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    model.fit(x, np.array(labels), epochs=15, verbose=0)
    model.save(folder / "model.keras")
    return folder
