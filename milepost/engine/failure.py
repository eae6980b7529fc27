"""What flows along an error edge: a node's failure as a value, and the conditions that choose between such edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

InputT = TypeVar("InputT", covariant=True)


@dataclass(frozen=True, kw_only=True)  # with slots, Python 3.11 could not make one by `Failure[int](...)`
class Failure(Generic[InputT]):
    """A node that failed after its policy, as its error edge hands it on.

    node, task (its key), attempts: where, and how often it was tried. error: the qualified name of the exception's
    class, e.g. "httpx.ReadTimeout". message: its text. inputs: what the node was given.
    """

    node: str
    task: str
    attempts: int
    error: str
    message: str
    inputs: InputT


@dataclass(frozen=True, slots=True)
class Raised:
    """Stands for a node's output where the conditions of its error edges are asked: it has none, it raised."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class FailedWith:
    """The condition of an error edge: the node raised one of these.

    >>> FailedWith((OSError,))(Raised(TimeoutError())), FailedWith((OSError,))("a result")
    (True, False)
    """

    classes: tuple[type[BaseException], ...]

    def __call__(self, value: object) -> bool:
        return isinstance(value, Raised) and isinstance(value.error, self.classes)


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The condition of the way that a node's output takes when the node has error edges too."""

    def __call__(self, value: object) -> bool:
        return not isinstance(value, Raised)


def failure_of(inputs: Any) -> object:
    """Return the type of the failure of a node that takes these inputs, given as a type.

    >>> failure_of(int) == Failure[int]
    True
    """
    return Failure[inputs]
