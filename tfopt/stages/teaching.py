"""The teacher of a stage that trains: data that says which model, and how it teaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfopt import _validation
from tfopt.errors import InvalidArgumentError

FLOAT = "float"
"""The model of the run before anything was taken from it."""

TeacherLike = str | Mapping[str, Any] | None
"""`"float"`, the path of a `.keras` file, or a dict of the fields of `Teacher`; None for no teacher."""


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """Whom a stage's model learns from, and how; see `tfopt.distillation.distilling`.

    Args:
        model: `"float"`, or the path of a `.keras` file.
        temperature: what logits are divided by, above 0.
        student_weight: the weight of the compiled loss, in [0, 1).
        outputs: what the outputs are, where the compiled loss does not tell.
    """

    model: str = FLOAT
    temperature: float = 3.0
    student_weight: float = 0.5
    outputs: str | Mapping[str, str | None] | None = None

    @property
    def file(self) -> str | None:
        """The path of the teacher's file; None for the model of the run."""
        return None if self.model == FLOAT else self.model


def teacher_of(stage: Any) -> Teacher | None:
    """Return whom a stage learns from: what its `teaching()` returns, or else its field `teacher`."""
    teaching = getattr(stage, "teaching", None)
    value = teaching() if callable(teaching) else getattr(stage, "teacher", None)
    return checked_teacher(type(stage).__name__, value)


def checked_teacher(owner: str, teacher: TeacherLike) -> Teacher | None:
    """Return the value of a field `teacher`.

    Raises:
        InvalidArgumentError: it is of another form, or has a number out of its range.
    """
    if teacher is None:
        return None
    names = ("model", "temperature", "student_weight", "outputs")
    if isinstance(teacher, str):
        fields: dict[str, Any] = {"model": teacher}
    elif isinstance(teacher, Mapping) and set(teacher) <= set(names):
        fields = dict(teacher)
    else:
        raise InvalidArgumentError(
            f'{owner}: teacher must be "float", the path of a .keras file, or a dict of '
            f"{', '.join(names)}, got {teacher!r}."
        )
    made = Teacher(**fields)
    if not isinstance(made.model, str) or not made.model:
        raise InvalidArgumentError(
            f'{owner}: the model of the teacher must be "float" or a path, got {made.model!r}.'
        )
    _validation.number(owner, "temperature", made.temperature, above=0)
    _validation.number(owner, "student_weight", made.student_weight, at_least=0, below=1)
    return made
