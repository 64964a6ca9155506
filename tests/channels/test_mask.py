import keras
import numpy as np
import pytest

import tfopt
from tfopt.pruning.masks import masked


@pytest.mark.parametrize("loaded", [False, True])
def test_what_is_left_of_a_mask_holds_in_training(small_cnn, tmp_path, loaded):
    model = tfopt.prune(small_cnn(width=16), 0.75, rules={"head": None})
    smaller = tfopt.prune_channels(model, 0.5)
    if loaded:
        smaller.save(tmp_path / "smaller.keras")
        smaller = keras.saving.load_model(tmp_path / "smaller.keras")
    zeros = {entry.kernel.path: entry.weights == 0 for entry in masked(smaller)}
    assert zeros.keys() == {entry.kernel.path for entry in masked(model)}
    assert all(0.3 < zero.mean() < 1 for zero in zeros.values())
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 8, 8, 1)).astype("float32"), rng.integers(0, 10, 32)
    smaller.compile("adam", "sparse_categorical_crossentropy")
    smaller.fit(x, y, verbose=0)
    for entry in masked(smaller):
        assert np.array_equal(entry.weights == 0, zeros[entry.kernel.path])
