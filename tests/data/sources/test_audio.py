"""Folders of sounds."""

import numpy as np
import pytest
from scipy.io import wavfile

from tfopt.data import load_audio, read_wav
from tfopt.errors import DataError, InvalidArgumentError


@pytest.fixture
def words(tmp_path):
    for word, level in (("yes", 0.25), ("no", -0.5), ("bed", 0.125)):
        (tmp_path / "words" / word).mkdir(parents=True)
        for number in range(8):
            samples = np.full(700 + 200 * (number % 2), level)
            wavfile.write(
                tmp_path / "words" / word / f"{number}.wav", 8000, (samples * 2**15).astype(np.int16)
            )
    return tmp_path / "words"


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
def test_every_width_of_samples_is_from_minus_one_to_one(tmp_path, dtype):
    wave = np.array([-1.0, 0.0, 0.5])
    factor = {np.uint8: 128, np.int16: 2**15, np.int32: 2**31, np.float32: 1}[dtype]
    stored = wave * factor + (128 if dtype is np.uint8 else 0)
    wavfile.write(tmp_path / "a.wav", 16_000, stored.astype(dtype))
    assert read_wav(tmp_path / "a.wav") == pytest.approx(wave)
    stereo = np.stack([stored, stored[::-1]], axis=1).astype(dtype)
    wavfile.write(tmp_path / "b.wav", 16_000, stereo)
    assert read_wav(tmp_path / "b.wav") == pytest.approx((wave + wave[::-1]) / 2)


def test_clips_are_cut_and_padded_and_classes_are_folders(words):
    data = load_audio(words, sample_rate=8000, seconds=0.1)
    assert data.class_names == ("bed", "no", "yes")
    assert data.input_shape == (800,)
    assert sorted(set(np.unique(data.x_train))) == [-0.5, 0, 0.125, 0.25]
    short = data.x_train[data.y_train == 1].min(axis=1) == -0.5
    assert short.all()


def test_features_and_classes_of_several_folders(words):
    (words / "_noise_").mkdir()
    data = load_audio(
        words,
        sample_rate=8000,
        seconds=0.1,
        features=lambda clip: clip.reshape(8, 100).mean(axis=1),
        class_of=lambda folder: {"yes": "yes", "_noise_": None}.get(folder, "unknown"),
    )
    assert data.class_names == ("unknown", "yes")
    assert data.input_shape == (8,)
    assert np.bincount(np.concatenate([data.y_train, data.y_val, data.y_test])).tolist() == [16, 8]


def test_what_is_wrong_is_said(words, tmp_path):
    with pytest.raises(DataError, match=r"0\.wav has 8000 samples a second, and 16000 are expected"):
        load_audio(words)
    with pytest.raises(DataError, match="must be a folder with one folder of WAV files a class"):
        load_audio(words / "yes" / "0.wav")
    with pytest.raises(DataError, match="two or more folders of WAV files, one a class; got none"):
        load_audio(words / "yes")
    with pytest.raises(InvalidArgumentError, match="seconds"):
        load_audio(words, seconds=0)
    with pytest.raises(DataError, match=r"samples differ in shape: 1\.wav gives \(900,\)"):
        load_audio(words, sample_rate=8000, seconds=1, features=lambda clip: clip[clip != 0])
    (words / "yes" / "0.wav").write_bytes(b"RIFF....")
    with pytest.raises(DataError, match=r"Cannot read the sound .*yes.0\.wav"):
        load_audio(words, sample_rate=8000)
    for file in words.glob("*/*.wav"):
        file.unlink()
    with pytest.raises(DataError, match=r"holds no WAV files \(\.wav\) in its folders"):
        load_audio(words)
