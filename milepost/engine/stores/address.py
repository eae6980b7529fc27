"""Which store a URL names."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from milepost.engine.errors import InputError
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import Store


def open_store(url: str, *, create: bool = True) -> Store:
    """Return the store that a URL names; it is opened by the engine that uses it.

    `sqlite:///runs.db` is relative to the working directory, `sqlite:////var/runs.db` absolute; `?durability=process`
    commits without waiting for the disk. `memory://` keeps everything in this process. create=False refuses a file that
    is not there. Raises InputError: the URL names no kind of store.
    """
    if url in ("memory://", "memory:"):
        return MemoryStore()
    parts = urlsplit(url)
    path = parts.path[1:] if url.startswith("sqlite:///") else ""
    options = parse_qs(parts.query)
    durability = options.pop("durability", ["power"])[0]
    if not path or options or durability not in ("power", "process", "none"):
        raise InputError(
            f"{url!r} does not name a store. Write e.g. sqlite:///runs.db, sqlite:///runs.db?durability=process "
            "or memory://."
        )
    return SqliteStore(path, durability=durability, create=create)  # type: ignore[arg-type]  # one of the three, see above
