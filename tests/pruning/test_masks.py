import numpy as np

import tfopt
from tfopt.pruning import SparsityMask, apply_masks
from tfopt.pruning.masks import masked


def test_masks_stand_on_the_variable_and_on_the_layer(small_cnn):
    entries = masked(tfopt.prune(small_cnn()))
    assert [entry.kernel.path for entry in entries] == ["conv1", "sep", "hidden", "head"]
    for entry in entries:
        assert isinstance(entry.mask, SparsityMask)
        assert getattr(entry.kernel.layer, entry.kernel.constraint_attribute) is entry.mask


def test_a_model_that_is_not_pruned_has_none(small_cnn):
    assert masked(small_cnn()) == []


def test_apply_masks_makes_overwritten_weights_zero_again(small_cnn):
    model = tfopt.prune(small_cnn())
    model.set_weights([np.ones_like(w) for w in model.get_weights()])
    apply_masks(model)
    for entry in masked(model):
        np.testing.assert_array_equal(entry.weights, entry.mask.value)
