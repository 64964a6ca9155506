"""Data for the recipes, small enough for tests, in the form that a user's has: folders and .npz files."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image
from scipy.io import wavfile

from tfopt.recipe.file import module_of

RECIPES = Path(__file__).parents[3] / "recipes"
RATE = 16_000


def cifar(folder: Path) -> Path:
    """Images of four classes, which differ in their colour and in the direction of their stripes."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    stripes = np.sin(np.arange(32) * 0.8)
    pattern = np.where(
        (labels % 2 == 0)[:, None, None], stripes[None, :, None], stripes[None, None, :]
    ) + np.zeros((400, 32, 32))
    images = 120 + 60 * pattern[..., None] * np.array([1.0, 0.2, 0.2, 0.2, 0.2, 1.0]).reshape(2, 3)[
        labels // 2
    ].reshape(400, 1, 1, 3)
    images = (images + rng.normal(scale=20, size=images.shape)).clip(0, 255).astype(np.uint8)
    path = folder / "cifar10.npz"
    np.savez(path, x_train=images[:320], y_train=labels[:320, None], x_test=images[320:], y_test=labels[320:])
    return path


def mnist(folder: Path) -> Path:
    """The digits that scikit-learn ships as 16x16 images of bytes."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images * 15).astype(np.uint8).repeat(2, axis=1).repeat(2, axis=2)
    path = folder / "mnist.npz"
    np.savez(
        path,
        x_train=images[:1400],
        y_train=digits.target[:1400],
        x_test=images[1400:],
        y_test=digits.target[1400:],
    )
    return path


def words(folder: Path) -> Path:
    """Tones of four words, in folders as the Speech Commands."""
    rng = np.random.default_rng(0)
    root = folder / "speech"
    for word, hertz in (("yes", 400), ("no", 800), ("bed", 1600), ("cat", 2400)):
        (root / word).mkdir(parents=True)
        for number in range(40):
            write_tone(root / word / f"{number:02}.wav", hertz * rng.uniform(0.95, 1.05), rng, seconds=0.9)
    (root / "_background_noise_").mkdir()
    write_tone(root / "_background_noise_" / "hum.wav", 50, rng, seconds=3)
    return root


def machine(folder: Path) -> Path:
    """Clips of a humming machine, and of one that whistles, as DCASE's ToyCar."""
    rng = np.random.default_rng(0)
    root = folder / "ToyCar"
    for split in ("train", "test"):
        (root / split).mkdir(parents=True)
    for number in range(30):
        split = "train" if number < 20 else "test"
        write_tone(root / split / f"normal_id_01_{number:08}.wav", 120, rng, seconds=1.5)
    for number in range(10):
        write_tone(root / "test" / f"anomaly_id_01_{number:08}.wav", 120, rng, seconds=1.5, whistle=3000)
    return root


def write_tone(
    file: Path, hertz: float, rng: np.random.Generator, *, seconds: float, whistle: float = 0
) -> None:
    time = np.arange(round(RATE * seconds)) / RATE
    wave = sum(np.sin(2 * np.pi * hertz * n * time + rng.uniform(0, 6)) / n for n in (1, 2, 3))
    wave = wave + (np.sin(2 * np.pi * whistle * time) if whistle else 0)
    wave = rng.uniform(0.2, 0.25) * wave + rng.normal(scale=0.02, size=time.shape)
    wavfile.write(file, RATE, (wave.clip(-1, 1) * 32767).astype(np.int16))


def people(folder: Path) -> Path:
    """Two classes of images in folders, of different sizes."""
    rng = np.random.default_rng(0)
    root = folder / "people"
    for label, name in enumerate(("non_person", "person")):
        (root / name).mkdir(parents=True)
        for number in range(60):
            size = int(rng.integers(60, 120))
            pixels = rng.integers(60, 200, (size, size, 3), dtype=np.uint8)
            if label:
                pixels[size // 4 : 3 * size // 4, size // 3 : 2 * size // 3] = (230, 180, 140)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def reviews(folder: Path) -> Path:
    """Texts of two classes in folders."""
    rng = np.random.default_rng(0)
    root = folder / "reviews"
    words = {"pos": ["good", "fine", "superb"], "neg": ["bad", "dull", "awful"]}
    for name, sentiment in words.items():
        (root / name).mkdir(parents=True)
        for number in range(120):
            filler = " ".join(rng.choice(["the", "film", "was", "and", "music", "very"], 8))
            (root / name / f"{number}.txt").write_text(f"{filler} {rng.choice(sentiment)} {filler}\n")
    return root


def windows(folder: Path) -> Path:
    """Fewer and shorter windows than the recipe makes."""
    x, y = recipe_module("sensor_lstm").made(windows=240, steps=24)
    np.savez(folder / "windows.npz", x=x, y=y)
    return folder / "windows.npz"


def masks(folder: Path) -> Path:
    """Fewer and smaller images than the recipe makes."""
    x, y = recipe_module("segmentation_unet").made(count=60, size=32)
    np.savez(folder / "masks.npz", x=x, y=y)
    return folder / "masks.npz"


def boxes(folder: Path) -> Path:
    """Fewer images than the recipe makes."""
    x, y = recipe_module("detection_head").made(count=240)
    np.savez(folder / "boxes.npz", **{"x": x, "y/label": y["label"], "y/box": y["box"]})
    return folder / "boxes.npz"


def recipe_module(name: str) -> ModuleType:
    """Return the module of a recipe."""
    made = module_of(RECIPES / f"{name}.py", f"tested_recipe_{name}")
    assert made is not None
    module, run = made
    run()
    return module
