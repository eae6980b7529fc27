"""Everything here runs on both event loops, and leaves nothing behind there."""

from __future__ import annotations

from tests.loops import both_loops as anyio_backend
from tests.loops import leaves_nothing, nothing_left

__all__ = ["anyio_backend", "leaves_nothing", "nothing_left"]
