"""A disk that takes longer to sync than this machine's, as many do: what runs at once share is the wait for it.

What a virtual machine has for a disk may answer within a tenth of a millisecond, from memory; one that is reached over
a network, or that puts the bytes down before it answers, takes from one to ten.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

MILLISECONDS = 2
"""By which every sync takes longer."""
SOURCE = f"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

static int later(const char *name, int file) {{
    struct timespec longer = {{0, {MILLISECONDS} * 1000000}};
    nanosleep(&longer, 0);
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
}}

int fsync(int file) {{ return later("fsync", file); }}
int fdatasync(int file) {{ return later("fdatasync", file); }}
"""


def can_be_had() -> bool:
    """Whether a disk can be made slow here: that takes Linux and a C compiler."""
    return sys.platform == "linux" and shutil.which("cc") is not None


def on_slow_disk(folder: Path) -> dict[str, str]:
    """Return the environment variables of a process for which the disk is slow.

    They have a library loaded before all others, whose syncs wait first. folder: where it is put, and made unless it is
    there. Raises CalledProcessError: it cannot be compiled.
    """
    library = folder / "slow-disk.so"
    if not library.exists():
        words = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library), "-ldl"]
        subprocess.run(words, input=SOURCE, text=True, check=True)
    return {"LD_PRELOAD": str(library)}
