"""Finding the workflow that a command line names."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shlex
import sys
import tomllib
import traceback
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard, cast

from milepost.cli.screen import prints_to_stderr
from milepost.engine.errors import InputError, MilepostError

if TYPE_CHECKING:
    from milepost.engine.typed import Graph, GraphBuilder
    from milepost.engine.workflow import Workflow

AnyWorkflow: TypeAlias = "Workflow[Any, Any, Any, Any]"

GROUP: Final = "milepost.workflows"


class BadTarget(InputError):
    """TARGET does not lead to a workflow.

    target: as it was given. reason: what stands in the way and the way out, in whole sentences.
    """

    def __init__(self, target: str, reason: str) -> None:
        self.target = target
        self.reason = reason
        super().__init__(reason)


def find_workflow(target: str) -> AnyWorkflow:
    """Return the workflow that `target` names, built when it is a builder.

    target: `package.module:workflow`, `file.py:workflow`, or the name of a registered workflow. The working directory
    is importable. What the module prints goes to stderr.
    Raises BadTarget: there is no workflow there. UnsoundWorkflow: it cannot be built.
    """
    with prints_to_stderr():
        return _as_workflow(target, find_object(target))


def find_object(target: str) -> object:
    """Return whatever `target` names, in the way in which it names a workflow. Raises BadTarget: there is nothing."""
    place, attribute = _parts(target, registered())
    with prints_to_stderr():
        module = _load_file(target, place) if place.endswith(".py") else _load_module(target, place)
        return _attribute(target, module, attribute)


def find_registered(name: str, run_id: str, command: str = "resume") -> AnyWorkflow:
    """Return the registered workflow called `name`, for a run that is resumed without a TARGET.

    command: for which it is needed. Raises BadTarget: no such name is registered.
    """
    if name not in registered():
        raise BadTarget(
            name,
            f"Run {run_id!r} is of the workflow {name!r}, which is not registered here. "
            f"Say where it is: milepost {command} {shlex.quote(run_id)} package.module:workflow",
        )
    return find_workflow(name)


def find_all_registered(lost: Callable[[str, MilepostError], None]) -> list[AnyWorkflow]:
    """Return every registered workflow, each once. lost: is told the name of one that cannot be found, and why."""
    found: list[AnyWorkflow] = []
    for name in registered():
        try:
            workflow = find_workflow(name)
        except MilepostError as error:
            lost(name, error)
        else:
            if workflow not in found:
                found.append(workflow)
    return found


def registered(start: Path | None = None) -> Mapping[str, str]:
    """Return the targets of all registered workflows by name: installed entry points, then the project's own.

    start: where the search for pyproject.toml begins, upwards; the working directory when not given.
    Raises InputError: the nearest pyproject.toml cannot be read.
    """
    found = {point.name: point.value for point in entry_points(group=GROUP)}
    found.update(_project_table(start or Path.cwd()))
    return found


def _project_table(start: Path) -> Mapping[str, str]:
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if not file.is_file():
            continue
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{str(file)!r} cannot be read: {error}") from error
        for key in ("tool", "milepost", "workflows"):
            inner: object = table.get(key)
            table = cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}  # as TOML makes them
        return {name: _from_project(folder, str(target)) for name, target in table.items()}
    return {}


def _from_project(folder: Path, target: str) -> str:
    """A file in the table is meant from the folder of its pyproject.toml, wherever the command is called."""
    place, colon, attribute = target.rpartition(":")
    return f"{folder / place}{colon}{attribute}" if place.endswith(".py") else target


def _parts(target: str, known: Mapping[str, str]) -> tuple[str, str]:
    """Split a target into the module or file and the attribute in it."""
    place, _, attribute = known.get(target, target).rpartition(":")
    if place and attribute:
        return place, attribute
    if target.endswith((".py", ".py:")):
        name = target.rstrip(":")
        raise BadTarget(target, f"{name!r} names a file but no workflow in it. Write {name + ':workflow'!r}.")
    if target.endswith(":"):
        raise BadTarget(target, f"{target!r} names a module but no workflow in it. Write {target + 'workflow'!r}.")
    close = get_close_matches(target, known, n=3)
    hint = f" Did you mean {', '.join(map(repr, close))}?" if close else ""
    raise BadTarget(
        target,
        f"No workflow is registered as {target!r}.{hint} Write 'package.module:workflow' or 'file.py:workflow', "
        "or register it under [tool.milepost.workflows] in pyproject.toml.",
    )


def _load_module(target: str, name: str) -> ModuleType:
    _make_importable(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(missing + "."):
            raise BadTarget(target, _no_module(name, missing)) from error
        raise _import_failed(target, name, error) from error
    except MilepostError:
        raise
    except (Exception, SystemExit) as error:
        raise _import_failed(target, name, error) from error


def _no_module(name: str, missing: str) -> str:
    if Path(*name.split("/")).with_suffix(".py").exists() and "/" in name:
        return f"There is no module {name!r}. For a file, write its whole name: {name + '.py:workflow'!r}."
    part = "" if name == missing else f", because there is no {missing!r}"
    return f"There is no module {name!r}{part}. It is looked for in {str(Path.cwd())!r} and in what is installed."


def _load_file(target: str, name: str) -> ModuleType:
    """Import a file as a module of its own name, so that what it imports from its folder is found as well."""
    path = Path(name).resolve()
    if not path.is_file():
        raise BadTarget(target, f"There is no file {name!r} in {str(Path.cwd())!r}.")
    _make_importable(Path.cwd())
    _make_importable(path.parent)
    for loaded_name, loaded in list(sys.modules.items()):
        if loaded_name != "__main__" and getattr(loaded, "__file__", None) == str(path):
            return loaded  # by whatever name: a second copy would have other classes
    is_free = path.stem not in sys.modules and path.stem.isidentifier()
    module_name = path.stem if is_free else re.sub(r"\W", "_", str(path))
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise BadTarget(target, f"The file {name!r} cannot be imported as Python.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        if isinstance(error, MilepostError):
            raise
        raise _import_failed(target, name, error) from error
    return module


def _make_importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _import_failed(target: str, name: str, error: BaseException) -> BadTarget:
    if isinstance(error, SyntaxError):
        place = f"{_short(error.filename or name)}, line {error.lineno}"
        return BadTarget(target, f"{name!r} cannot be imported: {error.msg} ({place}).")
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    place = f" ({_short(own[-1].filename)}, line {own[-1].lineno})" if own else ""
    message = f"{type(error).__name__}: {error}".rstrip(".")
    return BadTarget(target, f"{name!r} cannot be imported: {message}{place}.")


def _short(filename: str) -> str:
    relative = os.path.relpath(filename)
    return filename if relative.startswith("..") else relative


def _attribute(target: str, module: ModuleType, path: str) -> object:
    value: object = module
    for name in path.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            raise BadTarget(target, _no_attribute(module, path)) from None
    return value


def _no_attribute(module: ModuleType, path: str) -> str:
    workflows = [name for name, value in vars(module).items() if _is_graph(value) or _is_builder(value)]
    close = get_close_matches(path, workflows or [name for name in vars(module) if not name.startswith("_")], n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    if not hint and workflows:
        hint = f" It has {', '.join(map(repr, workflows))}."
    return f"{module.__name__!r} has no {path!r}.{hint}"


def _is_graph(value: object) -> TypeGuard[Graph[Any, Any, Any, Any]]:
    from milepost.engine.typed import Graph

    return isinstance(value, Graph)


def _is_builder(value: object) -> TypeGuard[GraphBuilder[Any, Any, Any, Any]]:
    from milepost.engine.typed import GraphBuilder

    return isinstance(value, GraphBuilder)


def _as_workflow(target: str, value: object) -> AnyWorkflow:
    from milepost.engine.workflow import Workflow

    if _is_builder(value):
        value = _built(target, value)
    if _is_graph(value):
        return Workflow.from_graph(value)
    kind = value.__name__ if isinstance(value, type) else type(value).__name__
    called = "the class" if isinstance(value, type) else "an instance of"
    attribute = _parts(target, registered())[1]
    raise BadTarget(
        target,
        f"{attribute!r} in {target!r} is {called} {kind!r}, not a workflow. "
        "Name what WorkflowBuilder.build() returned.",
    )


def _built(target: str, builder: GraphBuilder[Any, Any, Any, Any]) -> object:
    from pydantic_graph.exceptions import GraphBuildingError, GraphSetupError, GraphValidationError

    try:
        return builder.build()
    except (GraphBuildingError, GraphSetupError, GraphValidationError) as error:
        raise BadTarget(target, f"The workflow {target!r} cannot be built: {error}") from error
