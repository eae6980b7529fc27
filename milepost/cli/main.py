"""The `milepost` program: its commands, and what happens when one of them fails."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final, NamedTuple, TypeGuard

import click

from milepost.cli.exits import Exit, exit_of
from milepost.cli.options import debug_option
from milepost.cli.screen import Invocation, print_json, say
from milepost.cli.signals import raised_as_interrupt
from milepost.engine.errors import MilepostError, UnknownRun


class Listed(NamedTuple):
    """A command that is only imported when it is called. place: `module:attribute`. summary: its line in the help."""

    place: str
    summary: str


COMMANDS: Final[Mapping[str, Listed]] = {
    "run": Listed("milepost.cli.execute:run", "Run a workflow, or go on with the run of that id."),
    "resume": Listed("milepost.cli.execute:resume", "Go on with a run that was stopped, killed or failed."),
    "answer": Listed("milepost.cli.answer:answer", "Answer a question of a run, or be asked for the answer."),
    "send": Listed("milepost.cli.send:send", "Tell a run that something has happened outside."),
    "worker": Listed("milepost.cli.worker:worker", "Go on with runs whose time has come or that were answered."),
    "cancel": Listed("milepost.cli.cancel:cancel", "End a run for good, whichever process drives it."),
    "fork": Listed("milepost.cli.travel:fork", "Start a run that goes on from a checkpoint of another."),
    "edit": Listed("milepost.cli.travel:edit", "Change the state of a run that nobody drives."),
    "runs": Listed("milepost.cli.inspect:runs", "List the runs of a store."),
    "show": Listed("milepost.cli.inspect:show", "Show what a run did, on the terminal."),
    "trace": Listed("milepost.cli.inspect:trace", "Draw or export what a run did."),
    "diff": Listed("milepost.cli.compare:diff", "Show what differs between two runs or two checkpoints."),
    "tree": Listed("milepost.cli.tree:tree", "Show which run was forked from which."),
    "render": Listed("milepost.cli.draw:render", "Draw a workflow as it is declared."),
    "check": Listed("milepost.cli.check:check", "Say what is wrong in a workflow, and which stored runs fit it."),
    "verify": Listed("milepost.cli.care:verify", "Check that nothing in a store is damaged."),
    "gc": Listed("milepost.cli.care:gc", "Remove runs that nobody needs any more."),
    "export": Listed("milepost.cli.moving:export_run", "Write a run to a file that another store can import."),
    "import": Listed("milepost.cli.moving:import_run", "Put a run that was exported into a store."),
    "rotate": Listed("milepost.cli.care:rotate", "Encrypt a store with the newest key."),
    "demo": Listed("milepost.cli.demo:demo", "Review a contract, kill the process half way, and resume it."),
}


class LazyCommands(click.Group):
    """A group that imports a command when it is called, so that `milepost --help` is fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order in which they are met."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command, imported now."""
        listed = COMMANDS.get(cmd_name)
        if listed is None:
            return None
        module, attribute = listed.place.split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called; of a name that there is not, offer the close ones."""
        near = [] if args[0] in COMMANDS else get_close_matches(args[0], COMMANDS, cutoff=0.7)
        if near:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {' or '.join(map(repr, near))}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, listed.summary) for name, listed in COMMANDS.items()])


def _print_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"milepost {version('milepost')}")
        context.exit()


@click.group(
    cls=LazyCommands,
    context_settings={"auto_envvar_prefix": "MILEPOST", "help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 the run failed, 2 wrong usage, definition or input, 3 waiting, 4 not found, "
    "5 the definition changed, 6 another process holds the run, 7 a check failed, 8 store error, "
    "130 interrupted with everything saved.",
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show the version."
)
@debug_option
def cli() -> None:
    """Run workflows with a checkpoint after every node, resume them, and draw what they did.

    TARGET is `package.module:workflow`, `file.py:workflow`, or the name of a registered workflow.
    RUN is a run's id, the beginning of one, @last or @waiting.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line and return its exit code. Every error is one sentence on stderr."""
    asked = Invocation()
    try:
        with raised_as_interrupt():
            result: object = cli.main(
                args=None if arguments is None else list(arguments),
                prog_name="milepost",
                standalone_mode=False,
                obj=asked,
            )
        return result if isinstance(result, int) else Exit.DONE
    except (click.Abort, KeyboardInterrupt) as error:
        return _report(asked, "Interrupted.", Exit.INTERRUPTED, error)
    except click.ClickException as error:
        return _report(asked, _usage(error), Exit.WRONG, error)
    except Exception as error:
        cause = _alone(error)
        return _report(asked, _sentence(cause), exit_of(cause), cause)


def _alone(error: Exception) -> Exception:
    """Return what a group of one error holds: a task group wraps even the only error."""
    return _alone(error.exceptions[0]) if _is_group(error) and len(error.exceptions) == 1 else error


def _is_group(error: Exception) -> TypeGuard[ExceptionGroup[Exception]]:
    return isinstance(error, ExceptionGroup)


def _sentence(error: Exception) -> str:
    """Return what to say of an error; one that is not ours comes from the user's code, or is our bug."""
    if type(error) is UnknownRun and not error.candidates:
        return f"{error} 'milepost runs' lists those there are."
    if isinstance(error, MilepostError):
        return str(error)
    summary = f"{type(error).__name__}: {error}".rstrip(".")
    return f"{summary}. Add --debug for the traceback."


def _usage(error: click.ClickException) -> str:
    message = error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return message
    context = getattr(error, "ctx", None)
    return f"{message} See '{context.command_path} --help'." if isinstance(context, click.Context) else message


def _report(asked: Invocation, sentence: str, code: Exit, error: BaseException | None) -> int:
    if error is not None and asked.debug:
        traceback.print_exception(error, file=sys.stderr)
    say(sentence)
    if asked.as_json and error is not None:
        faults = getattr(error, "faults", None)
        details = {"faults": list(faults)} if faults else {}
        print_json({"error": {"type": type(error).__name__, "message": sentence, **details}, "exit_code": int(code)})
    return code
