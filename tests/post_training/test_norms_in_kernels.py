"""One scale a kernel, also where a batch normalization follows."""

import numpy as np

import tfopt
from tfopt.post_training.norms_in_kernels import with_norms_in_kernels


def test_the_copy_computes_the_same(many_kinds, images):
    copy = with_norms_in_kernels(many_kinds)
    np.testing.assert_allclose(copy(images), many_kinds(images), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(copy.get_layer("norm").gamma, np.ones(8))
    assert not np.array_equal(copy.get_layer("conv").kernel, many_kinds.get_layer("conv").kernel)


def test_a_file_with_one_scale_a_kernel_has_one(many_kinds, images):
    file = tfopt.to_tflite(many_kinds, "int8", images, per_channel=False)
    # A normalization that goes into no kernel is a depthwise one of its own.
    weights = file.summary().weights
    kernels = [each for each in weights if len(each.shape) > 1 and each.layer != "uncentred"]
    assert len(kernels) > 8
    assert {each.scales for each in kernels} == {1}
    assert file.verify(many_kinds, images, classification=False).snr_db > 30
