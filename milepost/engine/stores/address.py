"""Which store a URL names."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from milepost.engine.errors import InputError
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import Store

_DURABILITIES: Final = ("power", "process", "none")
_SERVERS: Final = ("postgresql", "postgres")


def open_store(url: str, *, create: bool = True) -> Store:
    """Return the store that a URL names; it is opened by the engine that uses it.

    `sqlite:///runs.db` is relative to the working directory, `sqlite:////var/runs.db` absolute; `?durability=process`
    commits without waiting for the disk. `postgresql://user:password@host/name` is a database of a server, with
    `durability`, `schema` and what libpq knows as options. `memory://` keeps everything in this process. create=False
    refuses a store that is not there. A file or a database is `Encrypted` if MILEPOST_KEY is set. Raises InputError:
    the URL names no kind of store, or the key is none. StoreError: what the kind or a key needs is not installed.
    """
    if url in ("memory://", "memory:"):
        from milepost.engine.stores.memory import MemoryStore  # programs use one kind

        return MemoryStore()
    if is_on_server(url):
        return _with_key(_on_server(url, create))
    parts = urlsplit(url)
    path = parts.path[1:] if url.startswith("sqlite:///") else ""
    options = parse_qs(parts.query)
    durability = options.pop("durability", ["power"])[0]
    if not path or options or durability not in _DURABILITIES:
        raise _names_none(url)
    return _with_key(
        SqliteStore(
            path,
            durability=durability,  # type: ignore[arg-type]  # one of the three, see above
            create=create,
        )
    )


def is_on_server(url: str) -> bool:
    """Whether a URL names a database of a server."""
    return url.partition("://")[0] in _SERVERS


def _with_key(store: Store) -> Store:
    """Return a store encrypted, if there is a key."""
    if not os.environ.get("MILEPOST_KEY"):
        return store
    from milepost.engine.stores.encrypted import Encrypted  # few programs need it

    return Encrypted(store)


def _on_server(url: str, create: bool) -> Store:
    from milepost.engine.stores.postgres import PostgresStore  # a kind that few programs use

    address, _, query = url.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    durability, schema = options.pop("durability", "power"), options.pop("schema", "milepost")
    if durability not in _DURABILITIES:
        raise _names_none(url)
    rest = f"?{urlencode(options, quote_via=quote, safe='/,:')}" if options else ""
    return PostgresStore(
        f"{address}{rest}",
        durability=durability,  # type: ignore[arg-type]  # one of the three, see above
        schema=schema,
        create=create,
    )


def _names_none(url: str) -> InputError:
    return InputError(
        f"{without_password(url)!r} does not name a store. Write e.g. sqlite:///runs.db, "
        "sqlite:///runs.db?durability=process, postgresql://user@host/name or memory://."
    )


def without_password(url: str) -> str:
    """Return a URL as it may be shown.

    >>> without_password("postgresql://ann:s3cret@db.example.org/runs?password=s3cret&schema=a")
    'postgresql://ann:…@db.example.org/runs?password=…&schema=a'
    >>> without_password("sqlite:///runs.db")
    'sqlite:///runs.db'
    """
    url = re.sub(r"(?<=://)([^/?#]*?):[^/?#]*@", r"\1:…@", url)
    return re.sub(r"(?<=[?&]password=)[^&]*", "…", url)
