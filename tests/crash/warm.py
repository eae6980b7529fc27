"""Imported by the process that every life is forked from."""

from __future__ import annotations

from tests.crash.life import warm_up

warm_up()
