"""One HTML file that loads nothing and carries out nothing but what it came with, each piece allowed by its hash."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from milepost.visualize.escape import markup
from milepost.visualize.palette import DARK, LIGHT, Palette, Theme

_NAMES: Final = ("page", "title", "text", "muted", "border", "taken", "untaken")
_MORE: Final[dict[str, dict[str, str]]] = {
    "light": {
        "surface": "#f8fafc",
        "accent": "#1d4ed8",
        "quiet": "#dbeafe",
        "plus": "#ecfdf3",
        "plus-text": "#14532d",
        "plus-mark": "#a7f3c4",
        "minus": "#fef1f1",
        "minus-text": "#7f1d1d",
        "minus-mark": "#fecaca",
        "untaken-text": LIGHT.untaken_text,
        "failed": LIGHT.failed_text,
    },
    "dark": {
        "surface": "#161b22",
        "accent": "#79b8ff",
        "quiet": "#172554",
        "plus": "#0b2a19",
        "plus-text": "#bbf7d0",
        "plus-mark": "#166534",
        "minus": "#33131a",
        "minus-text": "#fecaca",
        "minus-mark": "#8f1d24",
        "untaken-text": DARK.untaken_text,
        "failed": DARK.failed_text,
    },
}
"""Colours that only a page has. Text has at least 5:1 on what it stands on, also on a mark inside a change."""


def document(
    *, title: str, theme: Theme, body: str, sheets: tuple[str, ...], scripts: tuple[str, ...] = (), data: str = ""
) -> str:
    """Return a page in the colours that all pages of runs have.

    sheets, scripts: names of files beside this one, or of sheets the text. data: JSON that the scripts read, in which
    nothing can end a script.
    """
    sheet = colours(theme) + "\n".join(asset(one) if one.endswith(".css") else one for one in sheets)
    script = '"use strict";\n' + "\n".join(asset(name) for name in scripts) if scripts else ""
    return whole(title=title, theme=theme, body=body, sheet=sheet, script=script, data=data)


def whole(*, title: str, theme: Theme, body: str, sheet: str, script: str = "", data: str = "") -> str:
    """Return a page. Its content policy forbids everything but this one style sheet and this one script.

    title: as text. body: as markup. script: "" for none. data: JSON that the script reads, in which nothing can end it.
    """
    allowed = [f"style-src 'sha256-{digest(sheet)}'"]
    if script:
        allowed.insert(0, f"script-src 'sha256-{digest(script)}'")
    policy = f"default-src 'none'; {'; '.join(allowed)}; base-uri 'none'; form-action 'none'"
    carried = (
        f'<script type="application/json" id="data">{data}</script>\n<script>{script}</script>\n' if script else ""
    )
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f'<meta name="color-scheme" content="{"light dark" if theme == "auto" else theme}">\n'
        f"<title>{markup(title)}</title>\n<style>{sheet}</style>\n</head>\n"
        f"<body>\n{body}\n{carried}</body>\n</html>\n"
    )


@cache
def asset(name: str) -> str:
    """Return the text of a file beside this one."""
    return files("milepost.visualize").joinpath(name).read_text(encoding="utf-8").strip() + "\n"


def digest(text: str) -> str:
    """Return the hash by which a content policy allows a text."""
    return b64encode(sha256(text.encode()).digest()).decode()


def colours(theme: Theme) -> str:
    """Return the colours of a page as variables; "auto" follows the reader's own setting."""
    if theme == "auto":
        return f"{_variables(LIGHT)}\n@media (prefers-color-scheme:dark){{{_variables(DARK)}}}\n"
    return _variables(DARK if theme == "dark" else LIGHT) + "\n"


def _variables(palette: Palette) -> str:
    names = {name: getattr(palette, name) for name in _NAMES} | _MORE[palette.name]
    variables = "".join(f"--{name}:{colour};" for name, colour in names.items())
    chips = "".join(
        f".{status},[data-then={status}]{{--fill:{style.fill};--stroke:{style.stroke};--ink:{style.text};--dim:{style.muted}}}"
        for status, style in palette.statuses.items()
    )
    return f":root{{{variables}color-scheme:{palette.name}}}{chips}"
