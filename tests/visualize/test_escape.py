"""Text that people wrote."""

from __future__ import annotations

from hypothesis import given

from milepost.visualize.escape import (
    clean,
    dot_html,
    dot_string,
    markup,
    mermaid_prose,
    mermaid_text,
    one_line,
    shorten,
    slugs,
)
from milepost.visualize.wording import count, duration, money, plural
from tests.visualize.subjects import hostile


def test_control_characters_and_halves_of_characters_are_dropped() -> None:
    assert clean("a\x00b\x1b[1m\ud800\ufffe\u202ec") == "ab[1mc"
    assert clean("a\r\nb\rc\td\u2028e") == "a\nb\nc d e"


def test_long_lines_and_many_lines_are_cut_with_an_ellipsis() -> None:
    assert shorten("x" * 100) == "x" * 79 + "…"
    assert shorten("a\nb\nc\nd") == "a\nb\nc…"
    assert one_line("a\n  b\tc") == "a b c"


def test_ids_become_plain_names_that_are_all_different() -> None:
    ids = ["a b", "a-b", "A b", "", "end", "__proto__", "x" * 90, "x" * 91, "提取"]
    names = slugs(ids)
    assert list(names.values())[:5] == ["n_a_b", "n_a_b_2", "n_A_b_3", "n_node", "n_end"]
    assert len({name.lower() for name in names.values()}) == len(ids)


@given(text=hostile)
def test_escaped_text_has_no_sign_of_the_format_left(text: str) -> None:
    assert not set(mermaid_text(clean(text)).replace("<br/>", "")) & set("\"'`<>[](){}|\\%*$&=~^")
    assert not set(mermaid_prose(text)) & set("#;{}\n")
    assert not set(markup(text)) & set("<>\"'")
    assert not set(dot_html(text)) & set('<>"\n')
    assert dot_string(text).startswith('"')
    assert "\n" not in dot_string(text)


@given(text=hostile)
def test_nothing_is_empty_that_must_not_be(text: str) -> None:
    assert mermaid_text(text)
    assert mermaid_prose(text)
    assert dot_html(text)


def test_numbers_are_put_as_people_read_them() -> None:
    assert [duration(seconds) for seconds in (0.9999, 59.99, 60, 3600, 86400)] == [
        "1.0 s",
        "1 min",
        "1 min",
        "1 h",
        "1 d",
    ]
    assert [count(number) for number in (0, 999, 1000, 2_500_000_000)] == ["0", "999", "1.0k", "2.5G"]
    assert [money(dollars) for dollars in (0.001, 0.0099, 1)] == ["$0.001", "$0.0099", "$1.00"]
    assert [plural(0, "edge"), plural(1, "retry"), plural(2, "retry")] == ["0 edges", "1 retry", "2 retries"]
