"""Handwritten digits, 8x8: the structure of a ResNet is searched, and its int8 file measured.

Width, depth, stages and the kind of block are hyperparameters like any other, so that the search over
structures is the search over learning rates too:

    tfopt run recipes/structure_digits.py
    tfopt search recipes/structure_digits.py --trials 20 --maximize accuracy --minimize bytes

Quality target: 97 % in int8. `--data` takes images in classes of any size; for larger ones give
`tfopt.models.mobile_net_choices` a `resolution` too.
"""

import keras

import tfopt


def images(source="digits"):
    """Images in classes."""
    data = tfopt.data.load(source)
    return data.require(
        input_shape=(None, None, None), classes=True, why="The recipe is for images in classes."
    )


def build(hp):
    structure = tfopt.models.res_net_choices(hp, width=[16, 8, 24], depth=[1, 2], stages=[2, 1, 3])
    return tfopt.Recipe(
        data=images,
        model=lambda data: tfopt.models.res_net(data.input_shape, data.num_classes, **structure),
        optimizer=lambda steps: keras.optimizers.Adam(
            tfopt.schedules.WarmupCosine(
                hp.Float("lr", 1e-3, 3e-2, sampling="log", default=1e-2),
                warmup_steps=steps // 10,
                total_steps=steps,
            )
        ),
        stages=[
            tfopt.Train(epochs=12),
            tfopt.QuantizeAware("int8", epochs=3),
            tfopt.ExportTFLite(max_drop=0.01),
        ],
        batch_size=64,
    )
