"""Every store of ours keeps the promises of stores, whatever its commits survive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from milepost.engine.stores.encrypted import Encrypted
from milepost.engine.stores.store import Durability
from milepost.testing.contract.place import Place
from milepost.testing.store_contract import StoreContract
from tests.engine.stores.places import in_file, in_memory, in_schema
from tests.postgres import Schema


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def place(self) -> Place:
        return in_memory()


class TestSqliteStore(StoreContract):
    @pytest.fixture(params=["power", "process", "none"])
    def place(self, request: pytest.FixtureRequest, tmp_path: Path) -> Place:
        durability: Durability = request.param
        return in_file(tmp_path / "runs.db", durability)


class TestMemoryStoreOnTrio(TestMemoryStore):
    backend = "trio"


class TestSqliteStoreOnTrio(TestSqliteStore):
    backend = "trio"


class TestPostgresStore(StoreContract):
    @pytest.fixture(params=["power", "process"])
    def place(self, request: pytest.FixtureRequest, schema: Schema) -> Place:
        durability: Durability = request.param
        return in_schema(schema, durability)


class TestEncryptedStore(StoreContract):
    @pytest.fixture(params=["memory", "file"])
    def place(self, request: pytest.FixtureRequest, tmp_path: Path) -> Place:
        plain = in_memory() if request.param == "memory" else in_file(tmp_path / "runs.db", "process")
        return replace(plain, make=lambda: Encrypted(plain.make(), [b"k" * 32]))
