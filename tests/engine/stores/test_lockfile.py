"""A lock file is free exactly when its owner is dead."""

from __future__ import annotations

from pathlib import Path

import pytest

from milepost.engine.stores.lockfile import LockFile, is_free, remove_free


def test_a_lock_file_is_held_until_it_is_removed(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "a.lock")
    assert [each.name for each in tmp_path.iterdir()] == ["a.lock"]
    assert not is_free(lock.path)
    lock.remove()
    assert is_free(lock.path)
    assert list(tmp_path.iterdir()) == []


def test_looking_at_a_lock_file_leaves_it_held(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "a.lock")
    assert not is_free(lock.path)
    assert not is_free(lock.path)
    lock.remove()


def test_a_lock_file_that_somebody_removed_can_still_be_given_up(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "a.lock")
    lock.path.unlink()
    assert is_free(lock.path)
    lock.remove()


def test_a_lock_file_that_cannot_be_looked_at_counts_as_held(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not is_free(tmp_path / "file" / "a.lock")


def test_only_free_lock_files_are_removed(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "held.lock")
    (tmp_path / "free.lock").touch()
    (tmp_path / "other").touch()
    remove_free(tmp_path, "*.lock")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["held.lock", "other"]
    lock.remove()


def test_a_lock_file_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.lock").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        LockFile(tmp_path / "a.lock")
    assert [each.name for each in tmp_path.iterdir()] == ["a.lock"]
