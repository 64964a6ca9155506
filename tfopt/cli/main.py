"""The entry point: from the arguments to an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from tfopt._version import __version__
from tfopt.cli.compare_engines import compare_engines
from tfopt.cli.convert import convert
from tfopt.cli.debug import debug
from tfopt.cli.export import export
from tfopt.cli.files import bench, compare, inspect
from tfopt.cli.log import Log
from tfopt.cli.options import common_options
from tfopt.cli.quiet import quiet_tensorflow
from tfopt.cli.report import report
from tfopt.cli.run import run
from tfopt.cli.search import search
from tfopt.errors import TfoptError


@dataclass
class State:
    """What the whole command line shares.

    Attributes:
        log: the log of tfopt, of which `--verbose` shows some.
        debug: whether an error keeps its traceback.
    """

    log: Log = field(default_factory=Log)
    debug: bool = False


class _InOrder(click.Group):
    """A group that lists its commands as they were added: in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tfopt", message="%(prog)s %(version)s")
@common_options
def cli() -> None:
    """Make Keras 3 models small and fast, and check that the file gives the model's results."""


for command in (run, export, search, compare_engines, report, convert, inspect, compare, debug, bench):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Exit codes: 0 done, 1 an error of the data, the recipe or the file, 2 wrong arguments, 3 a run whose
    file lost more than its `max_drop`, 130 interrupted.

    Args:
        arguments: instead of those of the process.
    """
    quiet_tensorflow()
    with Log() as log:
        code = _exit_code(arguments, State(log=log))
    sys.exit(code)


def _exit_code(arguments: Sequence[str] | None, state: State) -> int:
    """Run the command line and return its exit code."""
    try:
        code = cli.main(
            None if arguments is None else list(arguments),
            prog_name="tfopt",
            standalone_mode=False,
            obj=state,
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("Interrupted.", err=True)
        return 130
    except TfoptError as error:
        if state.debug:
            raise
        click.echo(f"error: {' '.join(str(error).split())}", err=True)
        return 1
    return code or 0
