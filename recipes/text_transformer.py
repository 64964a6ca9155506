"""Sentiment of short texts: a small transformer encoder, int8; the tokenizer is outside the file.

Data: made here from a grammar in which the order of words decides ("not good", "good, not bad"), since none
ships. Of your own: `--data reviews/` with one folder of .txt files a class, or `train/` and `test/` with
such folders, as in the IMDB reviews (aclImdb/, of which `unsup/` is left out).
Quality target: an int8 file within one point of the float model.

    tfopt run recipes/text_transformer.py [--data reviews/]

The normalizations compute in float between integer operators, as LiteRT has no int8 kernel for them: the
file is small, and not fast. `token_ids` is the whole tokenizer: words by their hash, without a vocabulary
to ship. What uses the file applies it to each text.

`--set shared_blocks=true` makes all blocks one that is called several times, as in ALBERT (arXiv 1909.11942):
a file holds its weights once.
"""

import re
import zlib
from pathlib import Path

import keras
import numpy as np

import tfopt

LENGTH, VOCABULARY = 32, 2048
"""Of a text, in tokens, and of the tokens: 0 is padding, which fills short texts; long ones are cut."""


SHARED = {
    "attention*": "attention",
    **{f"{layer}*_{half}": f"{layer}_{half}" for layer in ("norm", "dense") for half in "ab"},
}
"""The layers of all blocks that are one where blocks are shared."""


def token_ids(text):
    """The tokens of a text, shape (LENGTH,)."""
    words = re.findall(r"[^\W_]+", text.lower())[:LENGTH]
    ids = [1 + zlib.crc32(word.encode()) % (VOCABULARY - 1) for word in words]
    return np.array(ids + [0] * (LENGTH - len(ids)), np.int32)


def made(count=4000, seed=0):
    """Texts and their sentiment: that of the clause about the film, where `not` turns it round."""
    rng = np.random.default_rng(seed)
    words = {True: ["good", "fine", "lovely", "superb"], False: ["bad", "dull", "awful", "poor"]}
    others = ["music", "seat", "crowd", "ticket", "popcorn", "weather"]
    texts, labels = [], []
    for _ in range(count):
        clauses = []
        for subject in ["film", *rng.choice(others, 2, replace=False)]:
            positive, negated = rng.random(2) < 0.5
            word = rng.choice(words[bool(positive != negated)])
            clauses.append(f"the {subject} was {'not ' if negated else ''}{word}")
            if subject == "film":
                labels.append("positive" if positive else "negative")
        texts.append(" and ".join(rng.permutation(clauses)))
    return texts, labels


def texts(source=None):
    """Token ids of the texts of a folder, or of those made here."""
    if source is None:
        written, labels = made()
        x = np.stack([token_ids(text) for text in written])
        return tfopt.data.from_arrays(x, labels, name="made reviews")
    if Path(source).suffix == ".npz":
        raise tfopt.errors.DataError(
            f"The data {source} does not fit: the recipe reads a folder with one folder of .txt files "
            "a class."
        )
    return tfopt.data.load_text(
        source, encode=token_ids, class_of=lambda folder: None if folder == "unsup" else folder
    )


def encoder(num_classes, width, heads, blocks, shared=False):
    """Token and position embeddings, blocks of attention and two dense layers, the mean over the tokens."""
    layers, ops = keras.layers, keras.ops
    ids = keras.Input((LENGTH,), dtype="int32", name="tokens")
    # Padding is attended to like any token: its embedding is learned.
    x = layers.Embedding(VOCABULARY, width, name="token")(ids)
    x = x + layers.Embedding(LENGTH, width, name="position")(ops.arange(LENGTH))
    for block in range(1, blocks + 1):
        y = layers.LayerNormalization(epsilon=1e-6, name=f"norm{block}_a")(x)
        y = layers.MultiHeadAttention(heads, width // heads, dropout=0.1, name=f"attention{block}")(y, y)
        x = layers.Add(name=f"add{block}_a")([x, y])
        y = layers.LayerNormalization(epsilon=1e-6, name=f"norm{block}_b")(x)
        y = layers.Dense(2 * width, activation="relu", name=f"dense{block}_a")(y)
        y = layers.Dense(width, name=f"dense{block}_b")(y)
        x = layers.Add(name=f"add{block}_b")([x, y])
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    outputs = layers.Dense(num_classes, name="head")(x)
    model = keras.Model(ids, outputs, name="encoder")
    return tfopt.tie(model, SHARED) if shared and blocks > 1 else model


def build(hp):
    return tfopt.Recipe(
        data=texts,
        model=lambda data: encoder(
            data.num_classes,
            width=hp.Int("width", 16, 128, step=16, default=32),
            heads=2,
            blocks=hp.Int("blocks", 1, 4, default=2),
            shared=hp.Boolean("shared_blocks", default=False),
        ),
        optimizer=lambda steps: keras.optimizers.AdamW(
            tfopt.schedules.WarmupCosine(
                hp.Float("lr", 1e-4, 1e-2, sampling="log", default=2e-3),
                warmup_steps=steps // 10,
                total_steps=steps,
            ),
            weight_decay=0.01,
        ),
        stages=[
            tfopt.Train(epochs=15),
            tfopt.QuantizeAware("int8", epochs=3),
            tfopt.ExportTFLite(max_drop=0.01),
        ],
        batch_size=64,
    )
