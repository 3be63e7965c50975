"""The entry point: which command, and which exit code.

A command's module is imported when it is run, so that `harvester --help` loads nothing dear: no HTTP client,
no Parquet, no terminal graphics.
"""

from __future__ import annotations

import gc
import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from harvester import __version__
from harvester.errors import HarvesterError, HeldError, UsageError

from .conversion import convert_less
from .screen import Screen

COMMANDS = {
    "init": "Write a commented harvester.toml to start from.",
    "check": "Ask each source one cheap question: credentials, reachability, clock, limits.",
    "agents": "List the agents each source can see.",
    "plan": "Say what export would do: calls, pages, requests, time.",
    "export": "Fetch every call of the query into files.",
    "get": "Print one call, in full.",
    "latest": "Print the most recent call, or several.",
    "tail": "Print new messages of a conversation as they come.",
    "status": "Say per source what the last run did and what is left.",
    "verify": "Check the output against the journal.",
    "schema": "Print the unified record as JSON Schema.",
    "providers": "Say what each provider can do.",
    "sandbox": "Serve all providers on this machine, with made-up calls.",
}
CONTEXT = {"help_option_names": ["-h", "--help"]}

OK, FAILED, USAGE, HELD, INTERRUPTED = 0, 1, 2, 4, 130


def examples(*lines: str) -> str:
    """Return command lines as they close a help page; the mark keeps their line breaks."""
    return "\n  ".join(("\b\nExample:", *lines))


class OneCommand(TyperCommand):
    """A command whose options are converted where they need it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what follows the command's name."""
        convert_less(self.get_params(ctx))
        return super().parse_args(ctx, args)


class LazyCommands(TyperGroup):
    """The commands by name; each is built from `harvester.cli.<name>.command` when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order of a first use."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command.

        Raises:
            UsageError: There is none of that name; this is kinder than None, for it knows the nearest.
        """
        if cmd_name not in COMMANDS:
            raise UsageError(f"no such command {cmd_name!r}; {_nearest(cmd_name)}")
        module = import_module(f"harvester.cli.{cmd_name}")
        app = typer.Typer(rich_markup_mode=None, add_completion=False)
        epilog = examples(*module.EXAMPLES)
        app.command(cmd_name, cls=OneCommand, context_settings=CONTEXT, epilog=epilog)(module.command)
        return typer.main.get_command(app)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what goes before a command's name."""
        convert_less(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _nearest(name: str) -> str:
    import difflib  # noqa: PLC0415 - most command lines are right

    match = difflib.get_close_matches(name, COMMANDS, n=1)
    return f"did you mean {match[0]!r}?" if match else "'harvester --help' lists them"


def _print_version(asked: bool) -> None:
    if asked:
        print(f"harvester {__version__}")
        raise typer.Exit


def root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Every call, transcript and recording out of voice-agent platforms: complete, durable, polite."""


app: typer.Typer = typer.Typer(
    cls=LazyCommands, rich_markup_mode=None, no_args_is_help=True, context_settings=CONTEXT
)
app.callback(epilog=examples("harvester init", "harvester check", "harvester export"))(root)


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    code = run(sys.argv[1:], Screen())
    gc.freeze()  # What is left ends with the process; looking for garbage in it takes 4 ms.
    sys.exit(code)


def run(arguments: Sequence[str], screen: Screen) -> int:
    """Run one command line.

    Args:
        arguments: What follows the program's name.
        screen: Where messages go.

    Returns:
        The exit code, as the contract lists them.
    """
    try:
        code = _invoke(list(arguments), screen)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        return OK
    except SystemExit as end:
        # Typer makes its own of a reader that left, and ends completion so.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        _drop_stdout()
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last one to see it: a message and a code, no traceback
        # As in `start`: the engine is imported only now.
        return INTERRUPTED if isinstance(error.__cause__, KeyboardInterrupt) else _explain(error, screen)
    return code


def _invoke(arguments: list[str], screen: Screen) -> int:
    command = typer.main.get_command(app)
    screen.command = shlex.join(["harvester", *arguments])
    code = command.main(arguments, prog_name="harvester", standalone_mode=False, obj=screen)
    return code if isinstance(code, int) else OK


def _drop_stdout() -> None:
    # The reader has what it wanted (`| head -1`); without this the interpreter complains when it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: Exception, screen: Screen) -> int:
    """Say what went wrong and return the code for it; the one place that knows both."""
    if isinstance(error, UsageError):
        for problem in error.problems:
            screen.error(problem)
        return USAGE
    if isinstance(error, HarvesterError):
        screen.error(str(error))
        return HELD if isinstance(error, HeldError) else FAILED
    if hasattr(error, "format_message"):  # typer's own: a wrong option or command
        return _explain_typer(error, screen)
    screen.error(f"unexpected {type(error).__name__}: {error}")
    if screen.verbosity > 0:
        import traceback  # noqa: PLC0415 - for mistakes of ours alone

        screen.error("".join(traceback.format_exception(error)))
    else:
        screen.error("this is a mistake in harvester; -v shows where")
    return FAILED


def _explain_typer(error: Any, screen: Screen) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message(), file=sys.stderr)
        return USAGE
    screen.error(error.format_message())
    if context is not None:
        screen.error(f"'{context.command_path} --help' lists what there is")
    return USAGE
