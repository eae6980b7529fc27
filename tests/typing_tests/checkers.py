"""Running the real type checkers on files, as a user would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def mypy_errors(folder: Path, cache: Path) -> dict[str, set[int]]:
    """Run `mypy --strict` on every file of a folder, and return the lines with errors by file name."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}", "."]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ | {"MYPYPATH": str(ROOT)}
    )
    assert not done.stderr, done.stderr
    found: dict[str, set[int]] = {path.name: set() for path in folder.glob("*.py")}
    for file, line in re.findall(r"^(\w+\.py):(\d+): error:", done.stdout, re.MULTILINE):
        found[file].add(int(line))
    return found


def pyright_errors(folder: Path) -> dict[str, set[int]]:
    """Run pyright in its strict mode on every file of a folder, and return the lines with errors by file name."""
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT)], "include": ["."]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found: dict[str, set[int]] = {path.name: set() for path in folder.glob("*.py")}
    for one in json.loads(done.stdout)["generalDiagnostics"]:
        if one["severity"] == "error":
            found[Path(one["file"]).name].add(one["range"]["start"]["line"] + 1)
    return found
