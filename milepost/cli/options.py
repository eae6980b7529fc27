"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from milepost.cli.screen import Invocation
from milepost.cli.stores import DEFAULT_STORE

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def _set_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.ensure_object(Invocation).as_json |= value


def _set_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.ensure_object(Invocation).debug |= value


def debug_option(command: CommandT) -> CommandT:
    """Add `--debug`."""
    return click.option(
        "--debug",
        is_flag=True,
        envvar="MILEPOST_DEBUG",
        expose_value=False,
        is_eager=True,
        callback=_set_debug,
        help="Show the traceback of an error.",
    )(command)


def common_options(command: CommandT) -> CommandT:
    """Add `--json` and `--debug`."""
    as_json = click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_set_json,
        help="Print one JSON document on stdout.",
    )
    return as_json(debug_option(command))


def store_option(command: CommandT) -> CommandT:
    """Add `--store URL`."""
    return click.option(
        "--store",
        metavar="URL",
        envvar="MILEPOST_STORE",
        default=DEFAULT_STORE,
        show_default=True,
        help="Where runs live.",
    )(command)


def durability_option(command: CommandT) -> CommandT:
    """Add `--durability power|process`."""
    return click.option(
        "--durability",
        type=click.Choice(["power", "process"]),
        help="What a checkpoint survives: a power loss (the default), or the death of the process.",
    )(command)
