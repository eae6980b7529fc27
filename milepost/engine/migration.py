"""Carrying out the migrations of a workflow on what is stored of a run."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence

from milepost.engine.errors import MigrationError, WorkflowError
from milepost.engine.pending import Held
from milepost.engine.stored import Migrate, Stored, StoredValue


def migration_faults(version: int, migrations: Mapping[int, Migrate]) -> Iterator[str]:
    """Yield what is wrong with the migrations of a workflow. They have to lead to its version, step by step."""
    for number, migrate in sorted(migrations.items()):
        name = getattr(migrate, "__name__", repr(migrate))
        if inspect.iscoroutinefunction(migrate) or inspect.isgeneratorfunction(migrate):
            yield (
                f"Migration {name!r} is not a plain function. It changes JSON and waits for nothing: write it with "
                "`def`, without `await` and `yield`."
            )
        if number >= version:
            yield (
                f"Migration {name!r} is from version {number}, and the workflow is of version {version}, so that "
                f"nothing could be migrated. Raise the version: version={number + 1}."
            )
        elif number + 1 < version and number + 1 not in migrations:
            yield (
                f"Migration {name!r} leads from version {number} to {number + 1}, and none leads on to {version}. "
                f"Add @wf.migrate(from_version={number + 1}), or remove this one."
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
