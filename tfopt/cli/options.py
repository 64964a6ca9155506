"""Options and arguments that several commands share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

READABLE_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


RECIPE = click.Path(exists=True, readable=True, path_type=Path)
"""A folder is let through: it may be a SavedModel, of which reading the recipe says what to do."""


class NameValue(click.ParamType):
    """`NAME=VALUE`: a name and the text of a value."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Return the name and the value."""
        if isinstance(value, tuple):
            return value
        name, separator, content = value.partition("=")
        if not separator or not name or not content:
            self.fail(f"expected NAME=VALUE, such as width=16, got {value!r}.", param, ctx)
        return name, content


def named_values(
    context: click.Context, option: click.Parameter, pairs: tuple[tuple[str, str], ...]
) -> dict[str, str]:
    """Return `NAME=VALUE` options as a dict; a click callback."""
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise click.BadParameter(f"{name!r} is given twice: give one value for it.", context, option)
        values[name] = value
    return values


def named_numbers(
    context: click.Context, option: click.Parameter, pairs: tuple[tuple[str, str], ...]
) -> dict[str, float]:
    """Return `NAME=NUMBER` options as a dict; a click callback."""
    numbers = {}
    for name, value in named_values(context, option, pairs).items():
        try:
            numbers[name] = float(value)
        except ValueError:
            message = f"expected a number, such as {name}=-0.01, got {value!r}."
            raise click.BadParameter(message, context, option) from None
    return numbers


def common_options(command: Command) -> Command:
    """Give a command the options that all have: `--verbose` and `--debug`."""

    def show_log(context: click.Context, _: click.Parameter, times: int) -> None:
        context.find_root().obj.log.show(times)

    def remember(context: click.Context, _: click.Parameter, value: bool) -> None:
        context.find_root().obj.debug |= value

    verbose = click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=show_log,
        help="Show what tfopt does; -vv shows more.",
    )
    debug = click.option(
        "--debug", is_flag=True, expose_value=False, callback=remember, help="Show the traceback of an error."
    )
    return verbose(debug(command))


class Interrupted(click.ClickException):
    """The user stopped a command that the same command resumes."""

    exit_code = 130

    def __init__(self) -> None:
        super().__init__("Interrupted. Run the same command again to resume.")

    def show(self, file: Any = None) -> None:
        """Print the message, which is no error."""
        click.echo(f"\n{self.message}", file=file, err=file is None)


@contextlib.contextmanager
def resumable() -> Iterator[None]:
    """Say how to resume where the user interrupts what runs inside."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted from None


data_option = click.option(
    "--data", metavar="PATH_OR_NAME", help="Train on this instead of the recipe's data: .npz, folder, name."
)

values_option = click.option(
    "--set",
    "values",
    type=NameValue(),
    multiple=True,
    callback=named_values,
    help="Set a hyperparameter of the recipe; can be repeated.",
)


class StrategyName(click.ParamType):
    """The name of a strategy."""

    name = "name"
    names = ("auto", "one_device", "mirrored", "multi_worker", "tpu")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        kind, _, named = value.partition("=")
        if value not in self.names and not (kind == "tpu" and named):
            self.fail(f"{value!r} is not one of {', '.join(self.names)}, tpu=NAME.", param, ctx)
        return value


strategy_option = click.option(
    "--strategy",
    type=StrategyName(),
    help="How training is spread over devices: auto, one_device, mirrored, multi_worker, tpu or tpu=NAME.  "
    "[default: the recipe's]",
)


def worker_options(command: Command) -> Command:
    """Give a command the options of a process that trains together with others."""
    hosts = click.option(
        "--hosts",
        metavar="HOST:PORT,...",
        help="Of all processes of multi_worker, the chief first.  [default: those of TF_CONFIG]",
    )
    worker = click.option(
        "--worker", type=click.IntRange(min=0), help="Which of the hosts this process is, from 0."
    )
    timeout = click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="How long to wait for the other hosts.  [default: 300]",
    )
    return hosts(worker(timeout(command)))


def joined(strategy: str | None, hosts: str | None, worker: int | None, timeout: float | None) -> Any:
    """Return the strategy that `--strategy`, `--hosts` and `--worker` ask for.

    The process joins the others before a recipe can use TensorFlow.
    """
    given = [
        name
        for name, value in (("--hosts", hosts), ("--worker", worker), ("--timeout", timeout))
        if value is not None
    ]
    if given and strategy != "multi_worker":
        raise click.UsageError(f"{', '.join(given)} must be used with --strategy multi_worker.")
    if strategy != "multi_worker":
        return strategy
    from tfopt import distribute

    return distribute.multi_worker(hosts, worker, **({} if timeout is None else {"timeout": timeout}))


def is_worker(strategy: Any) -> bool:
    """Return whether this process has joined others and is not their chief, who shows the run."""
    if strategy is None or isinstance(strategy, str):
        return False
    from tfopt import distribute

    group = distribute.group_of(strategy)
    return group is not None and not group.is_chief
