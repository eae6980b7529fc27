"""`python -m milepost` is the command line."""

from __future__ import annotations

import sys

from milepost.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
