"""Tiny backbones of KerasHub's own classes, with random weights; only where `keras-hub` is installed."""

import functools
import inspect

import keras
import numpy as np

from zoo_models.table import Entry, images, series, tokens

SOURCE = "KerasHub, its own classes"
VOCABULARY, LENGTH = 40, 10
TEXT = {"vocabulary_size": VOCABULARY, "num_layers": 2, "hidden_dim": 16, "intermediate_dim": 24}
HEADS = {"num_heads": 2, "max_sequence_length": LENGTH}
GROUPED = {"num_query_heads": 4, "num_key_value_heads": 2}
PATCHES = {"patch_size": 4, "num_layers": 2, "num_heads": 2, "hidden_dim": 16}

BACKBONES = {
    "Bert": TEXT | HEADS,
    "Roberta": TEXT | HEADS,
    "DistilBert": TEXT | HEADS,
    "Albert": TEXT | HEADS | {"embedding_dim": 8},
    "Electra": {"vocab_size": VOCABULARY, "embedding_dim": 8, **TEXT, **HEADS},
    "FNet": TEXT | {"max_sequence_length": LENGTH},
    "GPT2": TEXT | HEADS,
    "OPT": TEXT | HEADS,
    "Bloom": TEXT | {"num_heads": 2},
    "GPTNeoX": TEXT | HEADS | {"rotary_percentage": 0.5},
    "Llama": TEXT | GROUPED,
    "Gemma": TEXT | GROUPED | {"head_dim": 4},
    "Mistral": TEXT | GROUPED,
    "Phi3": TEXT | GROUPED | {"max_sequence_length": LENGTH, "pretraining_sequence_length": LENGTH},
    "Qwen2": TEXT | GROUPED,
    "T5": TEXT | {"num_heads": 2},
    "DebertaV3": TEXT | HEADS | {"bucket_size": 4},
    "Bart": TEXT | HEADS,
    "Whisper": TEXT
    | {
        "num_heads": 2,
        "num_mels": 8,
        "max_encoder_sequence_length": 20,
        "max_decoder_sequence_length": LENGTH,
    },
    "ViT": PATCHES | {"patch_size": (4, 4), "image_shape": (16, 16, 3), "mlp_dim": 24},
    "DeiT": PATCHES | {"image_shape": (16, 16, 3), "intermediate_dim": 24},
    "ResNet": {
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [7],
        "stackwise_num_filters": [64, 64],  # the class takes no fewer
        "stackwise_num_blocks": [1, 1],
        "stackwise_num_strides": [1, 2],
        "block_type": "basic_block",
        "image_shape": (32, 32, 3),
    },
    "DenseNet": {"stackwise_num_repeats": [2, 2], "growth_rate": 6, "image_shape": (32, 32, 3)},
    "VGG": {"stackwise_num_repeats": [1, 1], "stackwise_num_filters": [8, 16], "image_shape": (32, 32, 3)},
    "MiT": {
        "layerwise_depths": [1, 1],
        "num_layers": 2,
        "layerwise_num_heads": [1, 2],
        "layerwise_sr_ratios": [4, 2],
        "max_drop_path_rate": 0.1,
        "layerwise_patch_sizes": [7, 3],
        "layerwise_strides": [4, 2],
        "image_shape": (32, 32, 3),
        "hidden_dims": [8, 16],
    },
}
"""Backbone class, without the word -> its smallest settings."""


def _allowed(cls, settings):
    names = inspect.signature(cls.__init__).parameters
    return {name: value for name, value in settings.items() if name in names}


def _input_of(name, tensor):
    if name == "encoder_features":
        return series(20, tensor.shape[-1])
    if "float" in tensor.dtype:
        return images(*tensor.shape[1:], low=-1.0)
    if "mask" in name:
        lengths = np.random.default_rng(0).integers(6, LENGTH + 1, (40, 1))
        return (np.arange(LENGTH) < lengths).astype("int32")
    return tokens(LENGTH, 2 if "segment" in name else VOCABULARY, low=0)


def build(name):
    """Return a backbone and samples by the names of its inputs."""
    import keras_hub

    cls = getattr(keras_hub.models, f"{name}Backbone")
    model = cls(**_allowed(cls, BACKBONES[name]))
    if not isinstance(model.input, dict):
        return model, _input_of("images", model.input)
    samples = {key: _input_of(key, tensor) for key, tensor in model.input.items()}
    # The classes leave the length open; a file has one.
    fixed = {
        key: keras.Input(x.shape[1:], dtype=model.input[key].dtype, name=key) for key, x in samples.items()
    }
    return keras.Model(fixed, model(fixed)), samples


MODELS = {
    f"hub:{name}": Entry(functools.partial(build, name), SOURCE, classification=False) for name in BACKBONES
}
