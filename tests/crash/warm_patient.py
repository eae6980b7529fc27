"""Imported by the process that every life of a run that waits is forked from."""

from __future__ import annotations

from tests.crash.patient import warm_up

warm_up()
