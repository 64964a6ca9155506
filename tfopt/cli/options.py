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


def named_numbers(
    context: click.Context, option: click.Parameter, pairs: tuple[tuple[str, str], ...]
) -> dict[str, float]:
    """Return `NAME=NUMBER` options as a dict; a click callback."""
    numbers = {}
    for name, value in pairs:
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
    help="Set a hyperparameter of the recipe; can be repeated.",
)

strategy_option = click.option(
    "--strategy",
    type=click.Choice(["auto", "one_device", "mirrored"]),
    help="How training is spread over devices.  [default: the recipe's]",
)
