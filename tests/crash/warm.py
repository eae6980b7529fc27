"""Imported by the process that every life is forked from."""

from __future__ import annotations

from milepost.engine.stores import postgres_connections as postgres_connections
from tests.crash.life import warm_up

warm_up()
