"""`python -m tests.gallery`, which `make gallery` calls: draw what has changed in docs/gallery."""

from __future__ import annotations

import anyio

from tests.gallery.page import faults, write
from tests.gallery.pictures import FOLDER, Drawn, drawn


async def collected() -> list[Drawn]:
    return [one async for one in drawn()]


if __name__ == "__main__":
    pictures = anyio.run(collected)
    stale = faults(pictures, FOLDER)
    write(pictures, FOLDER)
    print("\n".join(f"drawn: docs/gallery/{name}" for name in stale) or "docs/gallery is up to date")
