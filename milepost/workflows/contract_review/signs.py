"""The words by which the scripted reader tells a risk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Sign:
    """Words in a clause and what they mean for whoever signs. weight: points of risk."""

    words: str
    weight: int
    meaning: str
    advice: str = ""


SIGNS: Final = (
    Sign(
        r"indemnif|indemnity|harmless",
        5,
        "You may have to pay for claims against others.",
        "Cap the indemnity at what you were paid.",
    ),
    Sign(
        r"in no event|not be liable|limitation of liability",
        4,
        "The other side answers for almost nothing.",
        "Keep liability for gross negligence and intent.",
    ),
    Sign(
        r"\bas is\b|without warrant",
        4,
        "Nothing is promised about quality or fitness.",
        "Test it yourself before you depend on it.",
    ),
    Sign(
        r"liquidated damages|penalt",
        4,
        "A breach costs a fixed sum, whatever the damage was.",
        "Ask for the actual damage instead.",
    ),
    Sign(r"not compete|non-compete", 4, "You may not work for others.", "Limit it in time and place."),
    Sign(r"terminat", 3, "What you rely on can end.", "Ask for a notice period."),
    Sign(
        r"litigation|lawsuit",
        3,
        "Going to court costs you rights.",
        "Have your lawyers check pending patent cases first.",
    ),
    Sign(
        r"sole(ly)? responsib|sole risk|assume any risk",
        3,
        "You alone carry the risk.",
        "Insure the risk, or share it.",
    ),
    Sign(
        r"sole discretion|without notice",
        3,
        "The other side may change it alone.",
        "Ask to be told in writing, 30 days ahead.",
    ),
    Sign(
        r"automatically renew|auto-renew",
        3,
        "It goes on unless you stop it in time.",
        "Put the last day to cancel in a calendar.",
    ),
    Sign(
        r"consequential|loss of (goodwill|profit)",
        2,
        "Indirect losses stay with you.",
        "Insure what a failure would cost you.",
    ),
    Sign(r"\bwaives?\b", 2, "You give up a right.", "Name the right that is given up."),
    Sign(r"(?<!non-)\bexclusive", 2, "You bind yourself to one side.", "Ask for a date on which it ends."),
    Sign(r"irrevocable|perpetual", 1, "It cannot be taken back."),
    Sign(r"\b(must|shall) (give|retain|include|cause|carry|pay)", 1, "There is a duty to be met each time."),
    Sign(r"does not grant|may not", 1, "Something is kept from you."),
)
"""What the scripted model knows. It reads words, not meaning: enough to show a workflow, not to sign a contract."""


def signs_in(text: str) -> list[Sign]:
    """Return the signs of risk in a clause, heaviest first.

    >>> [sign.weight for sign in signs_in("Provided AS IS; you waive all claims.")]
    [4, 2]
    """
    return sorted((sign for sign in SIGNS if re.search(sign.words, text, re.IGNORECASE)), key=lambda sign: -sign.weight)


def is_softened(text: str) -> bool:
    """Return whether a clause says itself that it does not hold without limits.

    >>> is_softened("Unless required by applicable law, we are not liable.")
    True
    """
    limits = r"unless required by (applicable )?law|except as stated|may choose"
    return re.search(limits, text, re.IGNORECASE) is not None
