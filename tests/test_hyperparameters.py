"""Arguments are checked, kept and described where their annotations say so."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Iterable
from typing import Annotated

import pytest

from tfopt._hyperparameters import (
    Count,
    Fraction,
    NonNegative,
    Share,
    Steps,
    check_fields,
    checked,
    with_arguments,
)
from tfopt.errors import InvalidArgumentError


def as_tuple(owner: str, name: str, value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


class Rule:
    @checked
    def __init__(
        self,
        rate: NonNegative,
        beta: Fraction = 0.9,
        *,
        period: Count = 5,
        decay: NonNegative | None = None,
        only: Annotated[Iterable[str], as_tuple] = (),
        name: str = "rule",
        **kwargs: object,
    ) -> None:
        self.rate, self.beta, self.period, self.decay = rate, beta, period, decay
        self.only, self.name, self.kwargs = only, name, kwargs


class Derived(Rule):
    @checked
    def __init__(self, share: Share = 0.5, **kwargs: object) -> None:
        super().__init__(1, **kwargs)
        self.share = share


class Unchecked(Rule):
    def __init__(self, beta: float) -> None:
        super().__init__(1.0, beta)


def test_numbers_are_kept_as_what_they_stand_for():
    rule = Rule(1, 0, period=3, decay=2)
    assert [type(x) for x in (rule.rate, rule.beta, rule.period, rule.decay)] == [float, float, int, float]


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((-1,), {}, r"Rule: expected rate to be a finite number >= 0, got -1\."),
        ((None,), {}, "Rule: expected rate"),
        ((1, 1.0), {}, r"Rule: expected beta to be a finite number in \[0, 1\), got 1.0\."),
        ((1,), {"beta": math.nan}, "Rule: expected beta"),
        ((1,), {"period": 0}, "Rule: expected period to be a whole number >= 1, got 0"),
        ((1,), {"period": 2.0}, "Rule: expected period"),
        ((1,), {"decay": -1}, "Rule: expected decay"),
    ],
)
def test_bad_values_are_named(args, kwargs, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Rule(*args, **kwargs)


def test_none_passes_where_the_annotation_allows_it():
    assert Rule(1, decay=None).decay is None


def test_a_derived_class_is_named_and_checks_what_it_hands_up():
    with pytest.raises(InvalidArgumentError, match="Derived: expected share"):
        Derived(0)
    with pytest.raises(InvalidArgumentError, match="Unchecked: expected beta"):
        Unchecked(2)


def test_python_complains_of_calls_that_do_not_fit():
    with pytest.raises(TypeError, match="positional arguments but 4 were given"):
        Rule(1, 2, 3)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'rate'"):
        Rule()


def test_the_signature_stays():
    assert list(inspect.signature(Rule).parameters) == [
        "rate", "beta", "period", "decay", "only", "name", "kwargs",
    ]  # fmt: skip


def test_the_config_holds_the_arguments_of_all_checked_constructors():
    derived = Derived(only=["bias"], other=1)
    assert with_arguments(derived, {"rate": "a rate"}) == {
        "rate": "a rate", "beta": 0.9, "period": 5, "decay": None, "only": ["bias"], "name": "rule",
        "share": 0.5,
    }  # fmt: skip
    assert "share" not in with_arguments(Unchecked(0.5), {})


@dataclasses.dataclass(frozen=True)
class Record:
    steps: Steps
    beta: Fraction = 0.5
    label: str = ""

    def __post_init__(self) -> None:
        check_fields("a record", self)


def test_fields_are_checked_and_kept():
    record = Record(1e3, 0)
    assert record == Record(1000, 0.0)
    assert type(record.steps) is int
    with pytest.raises(InvalidArgumentError, match="a record: expected steps to be a whole number >= 1"):
        Record(2.5)
