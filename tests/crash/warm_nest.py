"""Imported by the process that every life of runs inside runs is forked from."""

from __future__ import annotations

from tests.crash.nest import warm_up

warm_up()
