"""The architectures of MLPerf Tiny have as many weights as the published models."""

import pytest

from tests.integration.recipes.small_data import recipe_module

PUBLISHED = {
    # recipe: (function, arguments, weights in all, as mlcommons/tiny's models have)
    "resnet8_cifar10": ("resnet8", ((32, 32, 3), 10, 16), 78_666),
    "dscnn_keyword_spotting": ("ds_cnn", ((49, 10, 1), 12, 64), 24_908),
    "mobilenet_v1_visual_wake_words": ("mobilenet_v1", ((96, 96, 3), 2, 8), 221_794),
    "autoencoder_anomaly": ("autoencoder", ((640,), 128, 8), 269_992),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_many_weights_as_published(name):
    function, arguments, weights = PUBLISHED[name]
    model = getattr(recipe_module(name), function)(*arguments)
    assert model.count_params() == weights
