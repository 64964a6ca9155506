"""Wrong inputs in Python: each ends in a `TfoptError` of one sentence or a few, never in a foreign exception.

What is accepted on purpose, though it looks wrong, stands in a table of its own.
"""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

import tfopt
from tfopt.callbacks import (
    BatchSizeRamp,
    GradientClipping,
    LearningRateFinder,
    PruningSchedule,
    QuantizationSchedule,
    ReduceOnPlateau,
    ScheduleLearningRate,
    ScheduleMomentum,
)
from tfopt.data import from_arrays, load
from tfopt.errors import TfoptError
from tfopt.optimizers import SOAP, Adan, LayerwiseLearningRate, Lookahead
from tfopt.schedules import Chain, Cyclic, Noam, OneCycle, Sequence, Step, Warmup, WarmupCosine

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype(np.float32)
Y = np.arange(40) % 3
IMAGES = RNG.integers(0, 255, (40, 4, 4), dtype=np.uint8)


@pytest.fixture(scope="module")
def a(tmp_path_factory):
    """What the calls work on: models, data, files and folders."""
    folder = tmp_path_factory.mktemp("wrong")
    layers = [
        keras.Input((4,), name="in"),
        keras.layers.Dense(6, "relu", name="hidden"),
        keras.layers.Dense(3, "softmax", name="head"),
    ]
    model = keras.Sequential(layers, name="small")
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    unbuilt = keras.Sequential([keras.layers.Dense(3)], name="unbuilt")
    (folder / "empty").mkdir()
    (folder / "one_class" / "cats").mkdir(parents=True)
    for name in ("cats", "dogs"):
        (folder / "broken" / name).mkdir(parents=True)
        (folder / "broken" / name / "1.png").write_bytes(b"no image")
        (folder / "no_images" / name).mkdir(parents=True)
    (folder / "text.npz").write_text("no archive")
    (folder / "empty.npz").write_bytes(b"")
    np.savez(folder / "objects.npz", x=np.array([{}, []], object), y=[0, 1])
    np.savez(folder / "names.npz", images=X, labels=Y)
    np.savez(folder / "whole.npz", x=X, y=Y)
    (folder / "cut.npz").write_bytes((folder / "whole.npz").read_bytes()[:300])
    (folder / "text.tflite").write_text("no model")
    (folder / "empty.tflite").write_bytes(b"")
    file = tfopt.to_tflite(model)
    (folder / "cut.tflite").write_bytes(bytes(file)[:400])
    (folder / "recipe.py").write_text("def build(hp):\n    return 1\n")
    (folder / "syntax.py").write_text("def build(hp:\n")
    (folder / "no_build.py").write_text("x = 1\n")
    (folder / "raises.py").write_text("raise KeyError('x')\n")
    (folder / "imports.py").write_text("import no_such_package\ndef build(hp):\n    return 1\n")
    (folder / "run").mkdir()
    (folder / "run" / "run.json").write_text("{}")
    return SimpleNamespace(
        folder=folder, model=model, unbuilt=unbuilt, file=file, data=from_arrays(X, Y, name="numbers")
    )


def recipe(a, **changes):
    arguments = {
        "data": a.data,
        "model": lambda: a.model,
        "optimizer": "sgd",
        "stages": [tfopt.Train(epochs=1)],
    }
    return tfopt.Recipe(**(arguments | changes))


def run(a, stages=None, model=None, data=None, **options):
    out = options.pop("out", a.folder / "runs")
    stages = [tfopt.Train(epochs=1)] if stages is None else stages
    return tfopt.Pipeline(stages).run(model or a.model, data or a.data, out=out, quiet=True, **options)


def fit(a, optimizer="sgd", callbacks=(), **options):
    model = keras.models.clone_model(a.model)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model.fit(X, Y, verbose=0, callbacks=list(callbacks), **options)


def dense(units):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])


def nan(array):
    array = array.copy()
    array[3] = np.nan
    return array


WRONG = {
    # data
    "data: nothing": lambda a: from_arrays(None, None),
    "data: no labels": lambda a: from_arrays(X, None),
    "data: a number": lambda a: from_arrays(3, 4),
    "data: empty": lambda a: from_arrays(X[:0], Y[:0]),
    "data: one sample": lambda a: from_arrays(X[:1], Y[:1]),
    "data: different lengths": lambda a: from_arrays(X, Y[:-1]),
    "data: NaN": lambda a: from_arrays(nan(X), Y),
    "data: text as inputs": lambda a: from_arrays(np.array(["a", "b"] * 20), Y),
    "data: objects as inputs": lambda a: from_arrays(np.array([None] * 40, object), Y),
    "data: ragged lists": lambda a: from_arrays([[1, 2], [3]], [0, 1]),
    "data: negative labels": lambda a: from_arrays(X, Y - 1),
    "data: fractions as labels": lambda a: from_arrays(X, Y + 0.5),
    "data: NaN labels": lambda a: from_arrays(X, np.full(40, np.nan)),
    "data: labels of rank 3": lambda a: from_arrays(X, np.zeros((40, 2, 2), int)),
    "data: too few classes": lambda a: from_arrays(X, Y, num_classes=2),
    "data: classes of text": lambda a: from_arrays(X, Y, num_classes="three"),
    "data: no class": lambda a: from_arrays(X, Y, num_classes=0),
    "data: too few class names": lambda a: from_arrays(X, Y, class_names=["a"]),
    "data: a class name that is a number": lambda a: from_arrays(X, Y, class_names=3),
    "data: test without labels": lambda a: from_arrays(X, Y, x_test=X),
    "data: test of another shape": lambda a: from_arrays(X, Y, x_test=X[:, :2], y_test=Y),
    "data: test in another structure": lambda a: from_arrays(X, Y, x_test={"in": X}, y_test=Y),
    "data: share above 1": lambda a: from_arrays(X, Y, validation=1.5),
    "data: share of text": lambda a: from_arrays(X, Y, test="0.2"),
    "data: seed of text": lambda a: from_arrays(X, Y, seed="a"),
    "data: negative seed": lambda a: from_arrays(X, Y, seed=-1),
    "data: weights of another length": lambda a: from_arrays(X, Y, sample_weight=np.ones(3)),
    "data: weights of text": lambda a: from_arrays(X, Y, sample_weight=["a"] * 40),
    "data: negative weights": lambda a: from_arrays(X, Y, sample_weight=-np.ones(40)),
    "data: class weight of no class": lambda a: from_arrays(X, Y, class_weight={7: 1.0}),
    "data: class weight of text": lambda a: from_arrays(X, Y, class_weight={0: "much"}),
    "data: class weights as a word": lambda a: from_arrays(X, Y, class_weight="even"),
    "data: unknown scale": lambda a: from_arrays(X, Y, scale="1/0"),
    "data: scale that is a number": lambda a: from_arrays(X, Y, scale=255),
    "data: scale that fails": lambda a: from_arrays(X, Y, scale=lambda x: x["a"]),
    "data: scale of another input": lambda a: from_arrays({"in": X}, Y, scale={"out": "none"}),
    "data: scaled twice": lambda a: from_arrays(X / 10, Y, scale="1/255"),
    "data: normalization": lambda a: from_arrays(X, Y, normalization="x / 255"),
    "load: unknown name": lambda a: load("imagenet"),
    "load: None": lambda a: load(None),
    "load: a number": lambda a: load(7),
    "load: no such file": lambda a: load(a.folder / "none.npz"),
    "load: text for an archive": lambda a: load(a.folder / "text.npz"),
    "load: empty archive": lambda a: load(a.folder / "empty.npz"),
    "load: cut archive": lambda a: load(a.folder / "cut.npz"),
    "load: objects": lambda a: load(a.folder / "objects.npz"),
    "load: other names": lambda a: load(a.folder / "names.npz"),
    "load: an empty folder": lambda a: load(a.folder / "empty"),
    "load: one class": lambda a: load(a.folder / "one_class"),
    "load: images that are none": lambda a: load(a.folder / "broken"),
    "load: folders without images": lambda a: load(a.folder / "no_images"),
    "load: image size of 0": lambda a: load(a.folder / "broken", image_size=0),
    "load: image size of text": lambda a: load(a.folder / "broken", image_size="96"),
    "load: image size of an archive": lambda a: load(a.folder / "whole.npz", image_size=96),
    "load: unknown option": lambda a: load(a.folder / "whole.npz", shuffle=True),
    # stages and pipelines
    "pipeline: no stage": lambda a: tfopt.Pipeline([]),
    "pipeline: None": lambda a: tfopt.Pipeline(None),
    "pipeline: a stage's class": lambda a: tfopt.Pipeline([tfopt.Train]),
    "pipeline: a stage that is not in a list": lambda a: tfopt.Pipeline(tfopt.Train()),
    "pipeline: wrong order": lambda a: tfopt.Pipeline([tfopt.ExportTFLite(), tfopt.Train()]),
    "pipeline: model of None": lambda a: tfopt.Pipeline([tfopt.Train()]).run(None, a.data, out="x"),
    "pipeline: a path for a model": lambda a: run(a, model="model.keras"),
    "pipeline: a path for data": lambda a: run(a, data="data.npz"),
    "pipeline: arrays for data": lambda a: run(a, data=(X, Y)),
    "pipeline: model not compiled": lambda a: run(a, model=dense(3)),
    "pipeline: model not built": lambda a: run(a, model=a.unbuilt),
    "pipeline: model of other inputs": lambda a: run(a, data=from_arrays(X[:, :2], Y)),
    "pipeline: model of other classes": lambda a: run(a, data=from_arrays(X, np.arange(40) % 5)),
    "pipeline: batch size of 0": lambda a: run(a, batch_size=0),
    "pipeline: batch size of text": lambda a: run(a, batch_size="8"),
    "pipeline: negative seed": lambda a: run(a, seed=-1),
    "pipeline: unknown strategy": lambda a: run(a, strategy="two"),
    "pipeline: a number for out": lambda a: run(a, out=7),
    "pipeline: a file for out": lambda a: run(a, out=a.folder / "text.npz"),
    "pipeline: callbacks that are none": lambda a: run(a, callbacks=["early_stopping"]),
    "pipeline: a callback that is not in a list": lambda a: run(a, callbacks=keras.callbacks.Callback()),
    "train: epochs of 0": lambda a: tfopt.Train(epochs=0),
    "train: epochs of text": lambda a: tfopt.Train(epochs="3"),
    "prune: sparsity of 1": lambda a: tfopt.Prune(1.0),
    "prune: sparsity of text": lambda a: tfopt.Prune("half"),
    "prune: sparsity in percent": lambda a: tfopt.prune(a.model, 80),
    "prune: unknown scope": lambda a: tfopt.prune(a.model, 0.5, scope="model"),
    "prune: unknown pattern": lambda a: tfopt.prune(a.model, 0.5, pattern="2/4"),
    "prune: sparsity against the pattern": lambda a: tfopt.prune(a.model, 0.8, pattern="2:4"),
    "prune: unknown criterion": lambda a: tfopt.prune(a.model, 0.5, criterion="size"),
    "prune: unknown distribution": lambda a: tfopt.prune(a.model, 0.5, distribution="even"),
    "prune: criterion without data": lambda a: tfopt.prune(a.model, 0.5, criterion="taylor"),
    "prune: criterion without a schedule": lambda a: tfopt.prune(a.model, 0.5, criterion="movement"),
    "prune: pattern for tfmot": lambda a: tfopt.prune(a.model, 0.5, pattern="2:4", engine="tfmot"),
    "prune: unknown engine": lambda a: tfopt.prune(a.model, 0.5, engine="torch"),
    "prune: rule that matches nothing": lambda a: tfopt.prune(a.model, 0.5, rules={"haed": None}),
    "prune: rules in a list": lambda a: tfopt.prune(a.model, 0.5, rules=["head"]),
    "prune: rule of text": lambda a: tfopt.prune(a.model, 0.5, rules={"head": "none"}),
    "prune: no model": lambda a: tfopt.prune("model.keras", 0.5),
    "prune: model not built": lambda a: tfopt.prune(a.unbuilt, 0.5),
    "prune: schedule of text": lambda a: tfopt.prune(a.model, 0.5, schedule="cubic"),
    "quantize: unknown scheme": lambda a: tfopt.quantize_aware(a.model, "int7"),
    "quantize: scheme of a number": lambda a: tfopt.quantize_aware(a.model, 8),
    "quantize: rule that matches nothing": lambda a: tfopt.quantize_aware(a.model, rules={"haed": None}),
    "quantize: rule of an unknown scheme": lambda a: tfopt.quantize_aware(a.model, rules={"head": "int7"}),
    "quantize: no model": lambda a: tfopt.quantize_aware(None),
    "quantize: model not built": lambda a: tfopt.quantize_aware(a.unbuilt),
    "quantize: twice": lambda a: tfopt.quantize_aware(tfopt.quantize_aware(a.model)),
    "quantize: unknown stage scheme": lambda a: tfopt.QuantizeAware("int7"),
    "cluster: one cluster": lambda a: tfopt.Cluster(1),
    "cluster: clusters of text": lambda a: tfopt.Cluster("16"),
    # export
    "export: unknown scheme": lambda a: tfopt.to_tflite(a.model, "int7"),
    "export: no data": lambda a: tfopt.to_tflite(a.model, "int8"),
    "export: data of another shape": lambda a: tfopt.to_tflite(a.model, "int8", X[:, :2]),
    "export: data of NaN": lambda a: tfopt.to_tflite(a.model, "int8", nan(X)),
    "export: data of text": lambda a: tfopt.to_tflite(a.model, "int8", "digits"),
    "export: empty data": lambda a: tfopt.to_tflite(a.model, "int8", X[:0]),
    "export: a function that returns None": lambda a: tfopt.to_tflite(a.model, "int8", lambda: None),
    "export: a function that fails": lambda a: tfopt.to_tflite(a.model, "int8", lambda: 1 / 0),
    "export: a dict of other names": lambda a: tfopt.to_tflite(a.model, "int8", {"out": X}),
    "export: unknown input type": lambda a: tfopt.to_tflite(a.model, "int8", X, input_type="int4"),
    "export: batch size of 0": lambda a: tfopt.to_tflite(a.model, batch_size=0),
    "export: batch size of text": lambda a: tfopt.to_tflite(a.model, batch_size="1"),
    "export: unknown engine": lambda a: tfopt.to_tflite(a.model, engine="torch"),
    "export: unknown algorithm": lambda a: tfopt.to_tflite(a.model, "int8", X, algorithm="best"),
    "export: unknown correction": lambda a: tfopt.to_tflite(a.model, "int8", X, corrections=["all"]),
    "export: rule that matches nothing": lambda a: tfopt.to_tflite(a.model, "int8", X, rules={"haed": None}),
    "export: no model": lambda a: tfopt.to_tflite("model.keras"),
    "export: model not built": lambda a: tfopt.to_tflite(a.unbuilt),
    "export: other input shapes": lambda a: tfopt.to_tflite(a.model, input_shapes=(9,)),
    "export stage: agreement of 95": lambda a: tfopt.ExportTFLite(min_agreement=95),
    "export stage: agreement of text": lambda a: tfopt.ExportTFLite(min_agreement="high"),
    "export stage: no samples": lambda a: tfopt.ExportTFLite(samples=0),
    "export stage: negative drop": lambda a: tfopt.ExportTFLite(max_drop=-1),
    "file: no such file": lambda a: tfopt.TFLiteModel(a.folder / "none.tflite"),
    "file: text": lambda a: tfopt.TFLiteModel(a.folder / "text.tflite"),
    "file: empty": lambda a: tfopt.TFLiteModel(a.folder / "empty.tflite"),
    "file: cut": lambda a: tfopt.TFLiteModel(a.folder / "cut.tflite").predict(X),
    "file: a folder": lambda a: tfopt.TFLiteModel(a.folder),
    "file: None": lambda a: tfopt.TFLiteModel(None),
    "file: inputs of another shape": lambda a: a.file.predict(X[:, :2]),
    "file: inputs of text": lambda a: a.file.predict("digits"),
    "file: inputs of None": lambda a: a.file.predict(None),
    "file: verified on nothing": lambda a: a.file.verify(a.model, X[:0]),
    "file: verified with another model": lambda a: a.file.verify(
        dense(5), X
    ),
    "file: saved where a file is": lambda a: a.file.save(a.folder / "text.npz" / "model.tflite"),
    # runs, recipes, searches
    "run: no such folder": lambda a: tfopt.Run.load(a.folder / "none"),
    "run: a folder without a run": lambda a: tfopt.Run.load(a.folder / "empty"),
    "run: a damaged record": lambda a: tfopt.Run.load(a.folder / "run"),
    "recipe: no such file": lambda a: tfopt.Recipe.from_file(a.folder / "none.py"),
    "recipe: a folder": lambda a: tfopt.Recipe.from_file(a.folder),
    "recipe: no Python": lambda a: tfopt.Recipe.from_file(a.folder / "syntax.py"),
    "recipe: a binary file": lambda a: tfopt.Recipe.from_file(a.folder / "whole.npz"),
    "recipe: no build": lambda a: tfopt.Recipe.from_file(a.folder / "no_build.py"),
    "recipe: fails": lambda a: tfopt.Recipe.from_file(a.folder / "raises.py"),
    "recipe: imports what is not there": lambda a: tfopt.Recipe.from_file(a.folder / "imports.py"),
    "recipe: returns a number": lambda a: tfopt.Recipe.from_file(a.folder / "recipe.py"),
    "recipe: data of text": lambda a: recipe(a, data="digits"),
    "recipe: no stages": lambda a: recipe(a, stages=[]),
    "recipe: model of text": lambda a: recipe(a, model="resnet").run(a.folder / "r", quiet=True),
    "recipe: model that fails": lambda a: recipe(a, model=lambda: 1 / 0).run(a.folder / "r", quiet=True),
    "recipe: model that is none": lambda a: recipe(a, model=lambda: 1).run(a.folder / "r", quiet=True),
    "recipe: unknown optimizer": lambda a: recipe(a, optimizer="best").run(a.folder / "r", quiet=True),
    "recipe: optimizer of None": lambda a: recipe(a, optimizer=None).run(a.folder / "r", quiet=True),
    "recipe: optimizer that is none": lambda a: recipe(a, optimizer=lambda steps: 1).run(
        a.folder / "r", quiet=True
    ),
    "recipe: unknown loss": lambda a: recipe(a, loss="best").run(a.folder / "r", quiet=True),
    "recipe: unknown metric": lambda a: recipe(a, metrics=["best"]).run(a.folder / "r", quiet=True),
    "recipe: batch size of 0": lambda a: recipe(a, batch_size=0).run(a.folder / "r", quiet=True),
    "search: no trials": lambda a: tfopt.search(a.folder / "recipe.py", trials=0),
    "search: trials of text": lambda a: tfopt.search(a.folder / "recipe.py", trials="3"),
    "search: unknown goal": lambda a: tfopt.search(a.folder / "recipe.py", minimize="size"),
    "search: a goal twice": lambda a: tfopt.search(a.folder / "recipe.py", minimize=["bytes", "bytes"]),
    "search: a goal both ways": lambda a: tfopt.search(
        a.folder / "recipe.py", minimize="mine", maximize="mine"
    ),
    "search: a limit of an unknown cost": lambda a: tfopt.search(a.folder / "recipe.py", max={"size": 1}),
    "search: a limit of text": lambda a: tfopt.search(a.folder / "recipe.py", max={"bytes": "much"}),
    "search: limits that are a number": lambda a: tfopt.search(a.folder / "recipe.py", max=3),
    "search: no time": lambda a: tfopt.search(a.folder / "recipe.py", hours=0),
    "search: no epochs": lambda a: tfopt.search(a.folder / "recipe.py", epochs_total=0),
    "search: unknown sampler": lambda a: tfopt.search(a.folder / "recipe.py", sampler="best"),
    "search: two goals for annealing": lambda a: tfopt.search(
        a.folder / "recipe.py", minimize="bytes", maximize="accuracy", sampler="annealing"
    ),
    "search: keep of text": lambda a: tfopt.search(a.folder / "recipe.py", keep={"accuracy": "much"}),
    "search: keep of an unknown figure": lambda a: tfopt.search(a.folder / "recipe.py", keep={"size": 1}),
    "search: keep that is a number": lambda a: tfopt.search(a.folder / "recipe.py", keep=0.9),
    "search: no such recipe": lambda a: tfopt.search(a.folder / "none.py"),
    "search: data of None's name": lambda a: tfopt.search(a.folder / "recipe.py", data="imagenet"),
    # schedules, optimizers, callbacks
    "schedule: no steps": lambda a: WarmupCosine(0.1, warmup_steps=0, total_steps=0),
    "schedule: warmup beyond the end": lambda a: WarmupCosine(0.1, warmup_steps=9, total_steps=3),
    "schedule: rate of text": lambda a: WarmupCosine("fast", warmup_steps=1, total_steps=3),
    "schedule: negative rate": lambda a: OneCycle(-1.0, total_steps=9),
    "schedule: share above 1": lambda a: OneCycle(0.1, total_steps=9, pct_start=3),
    "schedule: unknown shape": lambda a: OneCycle(0.1, total_steps=9, anneal="square"),
    "schedule: no size": lambda a: Noam(0),
    "schedule: unknown mode": lambda a: Cyclic(0.1, 1.0, step_size_up=2, mode="round"),
    "schedule: no schedules": lambda a: Chain([]),
    "schedule: schedules of text": lambda a: Chain(["cosine"]),
    "schedule: too few milestones": lambda a: Sequence([Noam(8), Noam(8)], milestones=[]),
    "schedule: no step": lambda a: Step(0.1),
    "schedule: warmup of text": lambda a: Warmup("cosine", warmup_steps=3),
    "optimizer: negative rate": lambda a: Adan(-1.0),
    "optimizer: rate of text": lambda a: Adan("fast"),
    "optimizer: beta of 2": lambda a: Adan(1e-3, beta_1=2.0),
    "optimizer: negative decay": lambda a: SOAP(1e-3, weight_decay=-1.0),
    "optimizer: wraps text": lambda a: Lookahead("fast"),
    "optimizer: rules that are none": lambda a: LayerwiseLearningRate(Adan(1e-3), rules=["head"]),
    "callback: unknown clipping": lambda a: GradientClipping("hard", 1.0),
    "callback: negative threshold": lambda a: GradientClipping("global_norm", -1.0),
    "callback: unknown option of clipping": lambda a: GradientClipping("adaptive", 0.1, speed=3),
    "callback: factor of 2": lambda a: ReduceOnPlateau(factor=2.0),
    "callback: unknown mode": lambda a: ReduceOnPlateau(mode="up"),
    "callback: metric that is not logged": lambda a: fit(a, callbacks=[ReduceOnPlateau("val_f1")]),
    "callback: schedule of text": lambda a: ScheduleLearningRate("cosine"),
    "callback: schedule by hour": lambda a: ScheduleLearningRate(Noam(8), by="hour"),
    "callback: momentum of text": lambda a: ScheduleMomentum("high"),
    "callback: range upside down": lambda a: LearningRateFinder(1.0, 0.1),
    "callback: no steps": lambda a: LearningRateFinder(steps=0),
    "callback: quantization from -1 on": lambda a: QuantizationSchedule(start_at=-1),
    "callback: quantization of a float model": lambda a: fit(a, callbacks=[QuantizationSchedule()]),
    "callback: pruning of a dense model": lambda a: fit(a, callbacks=[PruningSchedule()]),
    "callback: ramp of different lengths": lambda a: BatchSizeRamp(8, 16).dataset(X, Y[:3]),
    # what looks into models
    "sensitivity: no model": lambda a: tfopt.sensitivity(None, (X, Y)),
    "sensitivity: no data": lambda a: tfopt.sensitivity(a.model, None),
    "sensitivity: unknown setting": lambda a: tfopt.sensitivity(a.model, (X, Y), ["int7"]),
    "mixed precision: no budget": lambda a: tfopt.mixed_precision(a.model, (X, Y)),
    "mixed precision: budget of text": lambda a: tfopt.mixed_precision(a.model, (X, Y), max_bytes="1kB"),
    "mixed precision: too small a budget": lambda a: tfopt.mixed_precision(a.model, (X, Y), max_bytes=1),
    "fuse: no model": lambda a: tfopt.fuse_batch_norm("model.keras"),
    "debug: no model": lambda a: tfopt.debug_quantization(None, a.file, X),
    "debug: no file": lambda a: tfopt.debug_quantization(a.model, a.folder / "none.tflite", X),
    "debug: data of another shape": lambda a: tfopt.debug_quantization(a.model, a.file, X[:, :2]),
    "debug: unknown kernels": lambda a: tfopt.debug_quantization(a.model, a.file, X, kernels="fast"),
    "legacy: no such file": lambda a: tfopt.from_legacy(a.folder / "none.h5"),
    "legacy: text": lambda a: tfopt.from_legacy(a.folder / "text.npz"),
    "legacy: None": lambda a: tfopt.from_legacy(None),
    "legacy: a Keras 3 model": lambda a: tfopt.from_legacy(a.model),
    "measure: MACs of text": lambda a: tfopt.measure.macs("model"),
    "measure: sparsity of None": lambda a: tfopt.measure.sparsity(None),
    "measure: latency of nothing": lambda a: tfopt.measure.latency({}),
    "measure: latency of text": lambda a: tfopt.measure.latency({"a": b"no model"}),
}  # fmt: skip

ACCEPTED = {
    "labels as one-hot rows": lambda a: from_arrays(X, np.eye(3)[Y]),
    "labels as text": lambda a: from_arrays(X, np.array(["a", "b"] * 20)),
    "labels as a column": lambda a: from_arrays(X, Y[:, None]),
    "labels as floats that are whole": lambda a: from_arrays(X, Y.astype(np.float32)),
    "lists": lambda a: from_arrays(X.tolist(), Y.tolist()),
    "integers as inputs": lambda a: from_arrays((X * 100).astype(int), Y),
    "a class name of no sample": lambda a: from_arrays(X, Y, class_names=["a", "b", "c", "d"]),
    "a path as text": lambda a: load(str(a.folder / "whole.npz")),
    "one sample for the file": lambda a: a.file.predict(X[:1]),
    "no samples for the file": lambda a: a.file.predict(X[:0]),
    "bytes of a file": lambda a: tfopt.TFLiteModel(bytes(a.file)),
    "clipping at its own threshold": lambda a: GradientClipping("global_norm"),
    "sparsity of 0": lambda a: tfopt.prune(a.model, 0.0),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.filterwarnings("ignore")
def test_a_wrong_input_ends_in_a_sentence_of_ours(a, name):
    with pytest.raises(TfoptError) as raised:
        WRONG[name](a)
    said = " ".join(str(raised.value).split())
    assert 20 < len(said) < 700, said
    assert said[-1] in ".)?", said
    assert "Traceback" not in said
    assert "<function" not in said
    assert "object at 0x" not in said


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_accepted_on_purpose(a, name):
    assert ACCEPTED[name](a) is not None
