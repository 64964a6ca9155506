"""The teachers of a run, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras

from tfopt.distillation.distilling import check_teacher
from tfopt.distillation.outputs import output_kinds
from tfopt.errors import InvalidArgumentError
from tfopt.pipeline import model_file
from tfopt.pipeline.training.compilation import Compilation
from tfopt.stages.base import Stage
from tfopt.stages.teaching import teacher_of


def check_teachers(stages: Sequence[Stage], model: keras.Model, compilation: Compilation) -> None:
    """Check that a run's model can learn from the teachers of the stages.

    Raises:
        InvalidArgumentError: there is no such file, shapes differ, or an output is of unknown kind.
        UnsupportedModel: the model has a training step of its own.
        RunError: a file cannot be loaded.
    """
    for stage in stages:
        teacher = teacher_of(stage)
        if teacher is None:
            continue
        name = type(stage).__name__
        if teacher.file is not None and not Path(teacher.file).is_file():
            raise InvalidArgumentError(
                f"{name}: there is no teacher {teacher.file!r}. Give the path of a .keras file, or "
                'teacher="float" for the model before anything was taken from it.'
            )
        check_teacher(model, model if teacher.file is None else model_file.load(Path(teacher.file)))
        output_kinds(model, compilation.loss(), teacher.outputs)
