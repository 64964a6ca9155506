import keras
import numpy as np
import pytest
from PIL import Image

from tfopt.data import load
from tfopt.errors import DataError, InvalidArgumentError


def test_digits(digits):
    assert digits.input_shape == (8, 8, 1)
    assert digits.num_classes == 10
    assert digits.normalization == "x / 16"
    assert digits.x_train.min() == 0
    assert digits.x_train.max() == 1
    assert digits.class_names == tuple("0123456789")
    assert digits.fingerprint() == load("digits").fingerprint()


def test_npz_with_its_own_test_split(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 6, 5), dtype=np.uint8)
    labels = np.arange(30) % 3
    path = tmp_path / "images.npz"
    np.savez(
        path, x_train=images[:20], y_train=labels[:20, None], x_test=images[20:], y_test=labels[20:, None]
    )
    data = load(path)
    assert data.name == "images"
    assert data.input_shape == (6, 5, 1)
    assert data.normalization == "x / 255"
    np.testing.assert_array_equal(data.x_test[..., 0], (images[20:] / np.float32(255)).astype(np.float32))
    np.testing.assert_array_equal(data.y_test, labels[20:])


def test_npz_with_x_and_y_only(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((20, 7)), y=np.arange(20) % 2)
    data = load(str(tmp_path / "a.npz"), test=0.5, validation=0.2)
    assert data.input_shape == (7,)
    assert [len(data.split(name)[1]) for name in ("train", "validation", "test")] == [8, 2, 10]


def test_npz_with_several_inputs_and_targets(tmp_path):
    path = tmp_path / "several.npz"
    left, label = np.zeros((20, 6, 5), np.uint8), np.arange(20)
    np.savez(
        path, **{"x/left": left, "x/right": np.zeros((20, 3)), "y/label": label, "y/box": np.zeros((20, 4))}
    )
    data = load(path)
    assert data.input_shape == {"left": (6, 5, 1), "right": (3,)}
    assert {name: y.shape[1:] for name, y in data.y_test.items()} == {"label": (), "box": (4,)}
    assert data.num_classes is None
    np.savez(path, **{"x": left, "x/right": left, "y": label})
    with pytest.raises(DataError, match="holds x as one array and as x/NAME"):
        load(path)


def test_classes_of_a_file_may_have_weights(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((40, 7)), y=np.repeat([0, 1], [30, 10]))
    data = load(tmp_path / "a.npz", class_weight="balanced")
    assert data.class_weight[1] / data.class_weight[0] == pytest.approx(3, rel=0.1)


def test_files_that_cannot_be_used(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, images=np.zeros(3), labels=np.zeros(3))
    with pytest.raises(DataError, match=r"must hold x_train.*found images, labels"):
        load(path)
    np.savez(path, x=np.array([{"a": 1}, None], dtype=object), y=np.zeros(2))
    with pytest.raises(DataError, match="never unpickled"):
        load(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="not an intact"):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="not an intact"):
        load(path)
    with pytest.raises(DataError, match="No such file"):
        load(tmp_path / "b.npz")
    with pytest.raises(DataError, match=r"Unknown dataset 'mnst': expected one of digits, mnist"):
        load("mnst")


def test_a_dataset_that_cannot_be_downloaded(monkeypatch):
    def refuse(*args, **kwargs):
        raise Exception("URL fetch failure on mnist.npz: None -- Name or service not known")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", refuse)
    with pytest.raises(DataError, match=r"URL fetch failure.*~/.keras/datasets/mnist.npz"):
        load("mnist")


def write_images(folder, count, *, size=(6, 8), mode="L"):
    folder.mkdir(parents=True)
    for i in range(count):
        Image.new(mode, (size[1], size[0]), 10 * i if mode == "L" else (10 * i, 0, 0)).save(
            folder / f"{i}.png"
        )


def test_a_folder_of_class_folders(tmp_path):
    write_images(tmp_path / "pets" / "dog", 10)
    write_images(tmp_path / "pets" / "cat", 10)
    data = load(tmp_path / "pets", test=0.2, validation=0.25)
    assert data.name == "pets"
    assert data.class_names == ("cat", "dog")
    assert data.input_shape == (6, 8, 1)
    assert [len(data.split(name)[1]) for name in ("train", "validation", "test")] == [12, 4, 4]
    assert load(tmp_path / "pets", image_size=(4, 5)).input_shape == (4, 5, 1)
    assert load(tmp_path / "pets", image_size=[4, 5]).input_shape == (4, 5, 1)
    assert load(tmp_path / "pets", image_size=4).input_shape == (4, 4, 1)
    assert load(tmp_path / "pets").x_train.max() <= 1
    assert load(tmp_path / "pets", scale="none").x_train.max() == 90
    assert load(tmp_path / "pets", scale="-1..1").x_train.min() == -1


@pytest.mark.parametrize("size", [0, -4, 2.5, "32", (4,), (4, 5, 3), (0, 4), True])
def test_an_image_size_that_is_none(tmp_path, size):
    write_images(tmp_path / "a", 3)
    write_images(tmp_path / "b", 3)
    with pytest.raises(InvalidArgumentError, match=r"\(height, width\) or one number for both"):
        load(tmp_path, image_size=size)


def test_a_folder_with_its_own_splits_and_one_colour_image(tmp_path):
    write_images(tmp_path / "train" / "a", 6)
    write_images(tmp_path / "train" / "b", 6, mode="RGB")
    write_images(tmp_path / "test" / "b", 3)
    data = load(tmp_path)
    assert data.input_shape == (6, 8, 3)
    assert data.y_test.tolist() == [1, 1, 1]
    write_images(tmp_path / "test" / "c", 1)
    with pytest.raises(DataError, match=r"holds classes that .*train does not: c"):
        load(tmp_path)


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(DataError, match="got none"):
        load(tmp_path)
    write_images(tmp_path / "a", 3)
    write_images(tmp_path / "b", 3, size=(9, 9))
    with pytest.raises(DataError, match=r"differ in size.*image_size=\(height, width\)"):
        load(tmp_path)
    (tmp_path / "b" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"Cannot read the image .*0\.png"):
        load(tmp_path)
    with pytest.raises(InvalidArgumentError, match="image_size is for folders"):
        load("digits", image_size=(4, 4))
