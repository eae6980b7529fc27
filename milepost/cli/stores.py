"""The store that a command line names."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from milepost.engine.errors import InputError, StoreError, UnknownRun
from milepost.engine.stores.address import is_on_server, without_password

DEFAULT_STORE: Final = "sqlite:///.milepost/runs.db"


def file_of(url: str) -> Path | None:
    """Return the file that a store's URL names, None for a store that is not a file.

    >>> file_of("sqlite:///runs.db?durability=process")
    PosixPath('runs.db')
    >>> file_of("sqlite:////var/lib/runs.db")
    PosixPath('/var/lib/runs.db')
    """
    parts = urlsplit(url)
    path = parts.path.removeprefix("/")
    return Path(path) if parts.scheme == "sqlite" and not parts.netloc and path else None


def with_durability(url: str, durability: str | None) -> str:
    """Return `url` with the durability asked for.

    Raises InputError: the URL itself asks for another one.

    >>> with_durability("sqlite:///runs.db", "process")
    'sqlite:///runs.db?durability=process'
    """
    if durability is None or (file_of(url) is None and not is_on_server(url)):
        return url
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if query.get("durability", durability) != durability:
        raise InputError(
            f"The store {without_password(url)!r} and --durability {durability} contradict each other. Leave one out."
        )
    query["durability"] = durability
    address, *_ = url.split("?", 1)
    return f"{address}?{urlencode(query, quote_via=quote, safe='/')}"


def prepare(url: str) -> None:
    """Make the folder of the default store, which nobody could be asked to make.

    Raises StoreError: the folder cannot be made.
    """
    file = file_of(url)
    if file is None or file != file_of(DEFAULT_STORE):
        return
    try:
        file.parent.mkdir(exist_ok=True)
        (file.parent / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"The folder {str(file.parent)!r} cannot be made: {error.strerror}. Name another store with --store."
        ) from error


def is_there(url: str) -> bool:
    """Return whether a store exists that could be read, so that reading never makes one.

    Of what is SQLite's name for a database that is no file, the store itself says that it cannot be.
    """
    file = file_of(url)
    return file is None or str(file) == ":memory:" or file.exists()


def require(url: str, run: str | None = None) -> None:
    """Check that there is a store to be read, in which `run` could be.

    Raises StoreError: there is no store yet; UnknownRun: so there is no such run either.
    """
    if not is_there(url):
        if run is not None:
            raise NoStore(run, url)
        raise StoreError(f"There is no store at {url!r} yet. Start a run there first, or name another with --store.")


class NoStore(UnknownRun):
    """There is no store at the place named, so no run either."""

    def __init__(self, run_id: str, url: str) -> None:
        super().__init__(run_id)
        self.url = url
        self.args = (f"There is no run {run_id!r}, because there is no store at {url!r} yet. Name it with --store.",)
