import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfopt.data import load
from tfopt.data.sources import images
from tfopt.data.streaming.read_errors import unwrapped
from tfopt.data.streaming.stored import Stored
from tfopt.errors import DataError, InvalidArgumentError


def write(root, count=30, mode="RGB", size=(12, 10), classes=3):
    rng = np.random.default_rng(0)
    for i in range(count):
        folder = root / f"class{i % classes}"
        folder.mkdir(parents=True, exist_ok=True)
        shape = size if mode == "L" else (*size, 3)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode).save(folder / f"{i:03d}.jpg")
    return root


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("image_size", [None, (6, 8)])
@pytest.mark.parametrize("scale", ["auto", "-1..1", "standardize"])
def test_streamed_images_are_those_that_are_held(tmp_path, mode, image_size, scale):
    write(tmp_path, mode=mode)
    held = load(tmp_path, image_size=image_size, stream=False, scale=scale)
    streamed = load(tmp_path, image_size=image_size, stream=True, scale=scale)
    assert isinstance(streamed.x_train, Stored)
    assert isinstance(held.x_train, np.ndarray)
    assert (streamed.place, held.place) == ("30 image files", None)
    assert (streamed.input_shape, streamed.class_names) == (held.input_shape, held.class_names)
    tolerance = 1e-6 if scale == "standardize" else 0  # sums in parts round otherwise
    for split in ("train", "validation", "test"):
        (x, y), (expected, labels) = streamed.split(split), held.split(split)
        np.testing.assert_allclose(x[:], expected, rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(y, labels)
    found = streamed.training_batches(7, seed=3, first_epoch=1, epochs=3)
    expected = held.training_batches(7, seed=3, first_epoch=1, epochs=3)
    for (x, y), (array, labels) in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, array, rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(y, labels)


def test_images_that_take_much_memory_are_streamed(tmp_path, monkeypatch):
    write(tmp_path)
    assert load(tmp_path).place is None
    monkeypatch.setattr(images, "LIMIT", 30 * 12 * 10 * 3 * 4 - 1)
    assert load(tmp_path).place == "30 image files"
    assert load(tmp_path, stream=False).place is None
    assert load(tmp_path, image_size=6).place is None


def test_splits_in_folders_of_their_own(tmp_path):
    write(tmp_path / "train")
    write(tmp_path / "test", count=9)
    data = load(tmp_path, stream=True, cache="memory")
    assert [len(data.split(name)[0]) for name in ("train", "validation", "test")] == [27, 3, 9]
    np.testing.assert_array_equal(data.x_test[:], load(tmp_path, stream=False).x_test)


def test_fingerprints_tell_the_content_of_files(tmp_path):
    write(tmp_path)
    first = load(tmp_path, stream=True).fingerprint()
    assert load(tmp_path, stream=True).fingerprint() == first
    assert load(tmp_path, stream=True, scale="-1..1").fingerprint() != first
    assert load(tmp_path, stream=True, image_size=8).fingerprint() != first
    Image.new("RGB", (10, 12)).save(tmp_path / "class0" / "000.jpg")
    assert load(tmp_path, stream=True).fingerprint() != first


def test_images_without_their_default_scale(tmp_path):
    write(tmp_path)
    unscaled = load(tmp_path, stream=True).unscaled()
    np.testing.assert_array_equal(unscaled.x_val[:], load(tmp_path, stream=False).unscaled().x_val)


def test_an_image_that_cannot_be_decoded(tmp_path):
    write(tmp_path)
    file = tmp_path / "class2" / "023.jpg"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])  # its header is whole
    data = load(tmp_path, stream=True, validation=0.05, test=0.05)
    batches = data.training_batches(4, seed=0)
    for name in ("validation", "test"):
        batches = batches.concatenate(data.evaluated_batches(name, 4))
    with pytest.raises(DataError, match=r"Cannot read the image .*023\.jpg.*Remove or replace"), unwrapped():
        list(batches)
    file.write_bytes(whole)
    assert len(list(data.training_batches(4, seed=0))) == data.steps_per_epoch(4)


def test_other_errors_of_tensorflow_stay_what_they_are():
    with pytest.raises(tf.errors.InvalidArgumentError), unwrapped():
        tf.reshape(tf.zeros(3), (2, 2))


def test_what_cannot_be_streamed(tmp_path):
    write(tmp_path)
    with pytest.raises(InvalidArgumentError, match="stream to be one of True, False, 'auto'"):
        load(tmp_path, stream="yes")
    with pytest.raises(InvalidArgumentError, match="stream and cache are for folders of images"):
        load("digits", stream=True)
    Image.new("RGB", (3, 3)).save(tmp_path / "class0" / "small.png")
    with pytest.raises(DataError, match="differ in size"):
        load(tmp_path, stream=True)
    assert load(tmp_path, stream=True, image_size=5).input_shape == (5, 5, 3)  # as the error says
    (tmp_path / "class0" / "small.png").write_bytes(b"text")
    with pytest.raises(DataError, match=r"Cannot read the image .*small\.png"):
        load(tmp_path, stream=True)
