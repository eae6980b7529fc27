"""A lock file says that its owner lives: the system frees it at the very moment the owner's process dies."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path


class LockFile:
    """A file that stays locked until it is given up, or until this process dies.

    It appears under its name already locked, so a file of that name that is free, or gone, always means a dead owner.
    Names are never used twice.
    Raises OSError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        draft = path.with_name(f"{path.name}.new")
        self._descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            os.fchmod(self._descriptor, 0o600)  # whatever the umask has left of it
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(path)
        except OSError:
            os.close(self._descriptor)
            draft.unlink(missing_ok=True)
            raise

    def remove(self) -> None:
        """Remove the file, then free the lock."""
        self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


def is_free(path: Path) -> bool:
    """Whether nobody holds this lock file any more; a file that cannot be looked at counts as held."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        # Shared: two who look at the same time must not take each other for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def remove_free(folder: Path, pattern: str) -> None:
    """Remove what dead owners left. pattern: of the names of lock files."""
    for path in folder.glob(pattern):
        if is_free(path):
            with suppress(OSError):  # somebody else's to remove
                path.unlink()
