"""Carrying out the migrations of a workflow on what is stored of a run."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence

from milepost.engine.errors import MigrationError, WorkflowError
from milepost.engine.pending import Held
from milepost.engine.stored import Migrate, Stored, StoredValue


def check_migration(from_version: int, migrate: Migrate, known: Iterable[int]) -> None:
    """Check one migration as it is declared. known: the versions that others migrate from. Raises WorkflowError."""
    name = getattr(migrate, "__name__", repr(migrate))
    if from_version in known:
        raise WorkflowError(
            f"Migration {name!r} is the second one from version {from_version}. Put the two into one function."
        )
    if inspect.iscoroutinefunction(migrate) or inspect.isgeneratorfunction(migrate):
        raise WorkflowError(
            f"Migration {name!r} is not a plain function. It changes JSON and waits for nothing: write it with `def`, "
            "without `await` and `yield`."
        )


def misplaced_migrations(version: int, from_versions: Iterable[int]) -> Iterator[str]:
    """Yield a fault for every migration that does not lead to the version of its workflow, step by step."""
    known = sorted(from_versions)
    for number in known:
        if number >= version:
            yield (
                f"The migration from version {number} leads past the workflow's version, which is {version}. "
                f"Raise it: version={number + 1}."
            )
        elif number + 1 < version and number + 1 not in known:
            yield (
                f"The migration from version {number} leads to version {number + 1}, and none leads on to {version}. "
                f"Add one: @wf.migrate(from_version={number + 1})."
            )


def migrated(
    run_id: str,
    steps: Mapping[int, Migrate],
    versions: range,
    values: Sequence[Held],
    state: str | None,
    nodes: Iterable[str],
) -> tuple[dict[str, str], str | None]:
    """Carry out migrations, in order, on the values that are still needed, in place.

    versions: those to migrate from. nodes: the ids of the stored definition. Returns the new ids of nodes by those they
    had, and the state as JSON text. Raises MigrationError: a migration failed, or made something that is no JSON.
    """
    names = {node: node for node in nodes}
    for version in versions:
        cells = [(one, StoredValue(names.get(one.node, one.node), one.text)) for one in values]
        of_kind = {kind: [cell for one, cell in cells if one.kind == kind] for kind in ("input", "item", "output")}
        stored = Stored(
            run_id=run_id,
            version=version,
            nodes=names.values(),
            state=state,
            inputs=of_kind["input"],
            items=of_kind["item"],
            outputs=of_kind["output"],
        )
        try:
            given = steps[version](stored)
            if given is not None and given is not stored:
                raise WorkflowError(f"It returned {type(given).__name__}. Change what it is given, and return nothing.")
            state = stored.state_text()
            for one, cell in cells:
                one.text = cell.text()
        except Exception as error:
            raise MigrationError(run_id, version, versions.stop, cause=error) from error
        names = {node: stored.names.get(name, name) for node, name in names.items()}
    return {node: name for node, name in names.items() if node != name}, state
