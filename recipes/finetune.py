"""A backbone of keras.applications on your own folder of images: head, all layers, fewer channels, int8.

The pattern to copy for transfer learning. The new head is trained while the backbone is frozen, then all
layers at a tenth of the rate; a part of the multiplications is removed with the channels that matter least;
quantization-aware training and an int8 file follow. Quality target: an int8 file within two points of the
fine-tuned model.

    tfopt run recipes/finetune.py --data photos/
    tfopt run recipes/finetune.py --data photos/ --set backbone=ResNet50 --set size=224 --set macs=0.5

The folder holds one folder of images a class, or `train/`, `test/` and perhaps `validation/` with such
folders. Images are resized. `weights=imagenet` is downloaded by Keras; `none` starts from random weights.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras

import tfopt

BACKBONES = {
    "MobileNetV2": keras.applications.mobilenet_v2,
    "MobileNet": keras.applications.mobilenet,
    "MobileNetV3Small": keras.applications.mobilenet_v3,
    "EfficientNetV2B0": keras.applications.efficientnet_v2,
    "ResNet50": keras.applications.resnet,
    "DenseNet121": keras.applications.densenet,
}
"""Name -> module with the inputs that it was trained on."""


def photos(source, backbone, size):
    """Images of a folder or a file, scaled as the backbone was trained."""
    if source is None:
        raise tfopt.errors.DataError(
            "This recipe has no data of its own: give a folder with one folder of images a class: "
            "--data photos/."
        )
    scale = BACKBONES[backbone].preprocess_input
    image_size = {"image_size": size} if Path(source).is_dir() else {}
    data = tfopt.data.load(source, scale=scale, **image_size)
    why = "The backbones take RGB images of 32x32 or more."
    return data.require(input_shape=(None, None, 3), classes=True, why=why)


def classifier(data, backbone, weights):
    """The backbone, frozen, and a head of logits."""
    base = getattr(keras.applications, backbone)(
        include_top=False,
        weights=None if weights == "none" else weights,
        input_shape=data.input_shape,
        pooling="avg",
    )
    for layer in base.layers:
        layer.trainable = weights == "none"
    x = keras.layers.Dropout(0.2, name="head_dropout")(base.output)
    outputs = keras.layers.Dense(data.num_classes, name="head")(x)
    return keras.Model(base.input, outputs, name=backbone)


@dataclass(frozen=True)
class FineTune(tfopt.stages.Stage):
    """Trains all layers, at a tenth of the rate at which the head was trained."""

    title: ClassVar[str] = "fine-tuned"
    fine_tuning: ClassVar[float] = 0.1
    epochs: int = 10

    def apply(self, model, context):
        for layer in model.layers:
            layer.trainable = True
        context.fit(model, epochs=self.epochs)
        return model


def build(hp):
    backbone = hp.Choice("backbone", list(BACKBONES), default="MobileNetV2")
    size = hp.Choice("size", [32, 96, 128, 160, 192, 224], default=160)
    return tfopt.Recipe(
        data=lambda source=None: photos(source, backbone, size),
        model=lambda data: classifier(data, backbone, hp.Choice("weights", ["imagenet", "none"])),
        optimizer=lambda steps: keras.optimizers.Adam(
            tfopt.schedules.WarmupCosine(
                hp.Float("lr", 1e-4, 1e-2, sampling="log", default=1e-3),
                warmup_steps=steps // 20,
                total_steps=steps,
            )
        ),
        stages=[
            tfopt.Train(epochs=5),
            FineTune(epochs=10),
            tfopt.PruneChannels(
                macs=hp.Float("macs", 0.3, 0.9, default=0.7),
                epochs=10,
                learning_rate=1e-4,
                rules={"head": None},
            ),
            tfopt.QuantizeAware("int8", epochs=3, learning_rate=3e-5),
            tfopt.ExportTFLite(max_drop=0.02),
        ],
        batch_size=32,
    )
