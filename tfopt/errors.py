"""The errors that tfopt raises on purpose.

Each message is for a person: what was expected, what came, what to do next. The command line prints
the message alone; everything that is not a `TfoptError` is a defect of tfopt and keeps its traceback.
"""


class TfoptError(Exception):
    """Base of every error that tfopt raises on purpose."""


class InvalidArgumentError(TfoptError, ValueError):
    """An argument is of the wrong kind or outside its range."""


class DataError(TfoptError, ValueError):
    """A dataset is missing, unreadable, empty, or holds values that training cannot use."""


class NonFiniteError(TfoptError, ArithmeticError):
    """A loss or a gradient became NaN or infinite while training."""


class UnsupportedModel(TfoptError, ValueError):
    """A model is of a kind that tfopt cannot read as a graph of operations."""


class UnsupportedOperation(UnsupportedModel):
    """One operation of a model has no rule; the message names its layer path and the rule to skip it."""


class StageOrderError(TfoptError, ValueError):
    """The stages of a pipeline stand in an order in which one undoes another."""


class InvariantError(TfoptError, RuntimeError):
    """A later stage broke what an earlier one had made, such as the zeros of a pruned kernel."""


class TrainingError(TfoptError, RuntimeError):
    """Training cannot continue, as when no gradient is finite any more."""


class ConversionError(TfoptError, RuntimeError):
    """The TFLite converter refused the model or died."""


class GoalError(TfoptError, RuntimeError):
    """A goal, such as a size or an accuracy, cannot be met.

    Attributes:
        best: the attempt that came closest.
    """

    def __init__(self, message: str, best: object = None) -> None:
        super().__init__(message)
        self.best = best


class VerificationError(TfoptError, RuntimeError):
    """An exported file does not do what its model does."""


class RecipeError(TfoptError, ValueError):
    """A recipe file cannot be read, or `build(hp)` does not return a `tfopt.Recipe`."""


class RunError(TfoptError, RuntimeError):
    """A run folder cannot be written, or does not hold what was asked for."""


class WorkerError(TfoptError, RuntimeError):
    """A process of a multi-worker run did not come, does not fit the others, or is gone."""
