"""Identity from cause: the key of a task is a hash of what caused it, never a running count.

So a task has the same key in every completion order, after every resume and under every driver.
"""

from __future__ import annotations

from hashlib import blake2b

ROOT = "0" * 32
"""What the start of a run counts as its cause."""


def key_of(parent: str, route: str) -> str:
    """Return the key of what was reached from `parent` by `route`: 32 hexadecimal digits.

    parent: the key of the task or join whose output was routed. route: see `milepost.engine.position`.

    >>> key_of(ROOT, "parse") == key_of(ROOT, "parse"), len(key_of(ROOT, "parse"))
    (True, 32)
    """
    return blake2b(f"{parent}/{route}".encode(), digest_size=16).hexdigest()


def idempotency_key(run_id: str, task: str) -> str:
    """Return the key that a node's body may hand to other systems: stable over retry and resume, new in another run."""
    return blake2b(f"{run_id}\0{task}".encode(), digest_size=16).hexdigest()


def child_run(run_id: str, task: str) -> str:
    """Return the id of the run that a task of a run drives: 32 hexadecimal digits, the same however often it is tried.

    >>> child_run("claim-17", ROOT) == child_run("claim-17", ROOT) != idempotency_key("claim-17", ROOT)
    True
    """
    return blake2b(f"{run_id}\0{task}\0run".encode(), digest_size=16).hexdigest()


def escape(node: str) -> str:
    """Return a node id as it stands in a route, where `/`, `#`, `:` and `%` have a meaning of their own."""
    if not any(char in node for char in "%/#:"):
        return node
    return node.replace("%", "%25").replace("/", "%2F").replace("#", "%23").replace(":", "%3A")


def unescape(segment: str) -> str:
    """Return the node id that `escape` was given."""
    if "%" not in segment:
        return segment
    return segment.replace("%3A", ":").replace("%23", "#").replace("%2F", "/").replace("%25", "%")
