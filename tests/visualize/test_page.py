"""The page of a run in a real browser: read, clicked, gone through with keys, and held against the rules of WCAG."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from milepost.engine.definition import Definition
from milepost.engine.report import Report
from milepost.engine.trace import Trace, WaitTrace
from milepost.visualize.escape import clean
from milepost.visualize.palette import DARK, LIGHT, Theme
from milepost.visualize.render import render
from tests.visualize.browser import NARROW, WIDE, Chromium, Scheme
from tests.visualize.browser import browser as browser
from tests.visualize.nests import FAILED_BATCH, SHOP
from tests.visualize.reports import holding, many, reviewed
from tests.visualize.subjects import CLAIMS, COMPLETED, NASTY, START, hostile
from tests.work import calls_of

pytestmark = pytest.mark.usefixtures("dot_program")

BREAKING = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "-->",
    "]]></script>",
    "line\u2028and\u2029paragraph",
    '<img src=x onerror="alert(1)">',
    "javascript:alert(1)",
    "\ud800",
    "\udc00\ud800",
    "${alert(1)}`",
    "\\u003c\\",
    '"',
    "\u202eevil\u202c",
    "0",
    "12345678901234567890.10",
)


@pytest.fixture(scope="module")
def page_text() -> str:
    return str(render(reviewed(), "html", theme="auto"))


def shown(text: str) -> str:
    """Return a text as a page shows it: what nobody sees, or what turns the direction of a text, is escaped."""
    unseen = "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
    return re.sub(unseen, lambda found: f"\\u{ord(found[0]):04x}", text)


def paired(text: str) -> str:
    """Return a text as JavaScript has it: two halves of a pair beside each other are one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


# --- what it looks like -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_page_follows_the_readers_scheme_and_has_no_fault_of_accessibility(
    browser: Chromium, page_text: str, scheme: Scheme, size: tuple[int, int]
) -> None:
    with browser.open(page_text, scheme=scheme, size=size) as opened:
        assert opened.faults() == []
        opened.press("j", "j")
        assert opened.faults() == []
        opened.press("[", "[", "[")
        assert opened.faults() == []
        opened.press("Escape", "?")
        assert opened.page.locator("dialog").is_visible()
        assert opened.faults() == []
        colour = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        page = (LIGHT if scheme == "light" else DARK).page
        assert colour == f"rgb({', '.join(str(int(page[at : at + 2], 16)) for at in (1, 3, 5))})"
        assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert len(opened.page.screenshot()) > 10_000


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
@pytest.mark.parametrize("subject", ["definition", "trace", "failed"])
def test_every_kind_of_page_opens_quietly_and_has_no_fault(browser: Chromium, theme: Theme, subject: str) -> None:
    found: Definition | Trace | Report = CLAIMS
    if subject != "definition":
        found = COMPLETED if subject == "trace" else reviewed(faulty=True)
    with browser.open(render(found, "html", theme=theme), scheme="dark") as opened:
        assert opened.faults() == []


@pytest.mark.parametrize("subject", [SHOP, FAILED_BATCH], ids=["definition", "run"])
def test_a_page_with_workflows_inside_has_no_fault_and_leads_into_them(
    browser: Chromium, subject: Definition | Trace
) -> None:
    with browser.open(render(subject, "html", depth=0)) as opened:
        assert opened.faults() == []
        for summary in opened.page.locator("summary").all():
            if summary.is_visible():
                summary.click()
        assert opened.faults() == []


def test_a_step_that_drove_a_run_leads_to_what_that_did(browser: Chromium) -> None:
    with browser.open(render(FAILED_BATCH, "html", depth=0)) as opened:
        opened.page.locator("g.node.choice a").first.click()
        opened.page.get_by_role("link", name="What it did").click()
        assert opened.page.locator("details[open] > div > .scroll").first.is_visible()


def test_a_page_can_be_read_without_its_script(browser: Chromium, page_text: str) -> None:
    without = re.sub(r"<script>.*</script>", "", page_text, flags=re.DOTALL)
    with browser.open(without) as opened:
        assert opened.page.locator("#steps tbody tr").count() == 9
        assert not opened.page.locator("#bar").is_visible()
        assert opened.text("#result") == '"3 clauses"'


# --- choosing steps ---------------------------------------------------------------------------------------------------


def test_a_click_on_a_node_tells_all_about_its_step(browser: Chromium, page_text: str) -> None:
    with browser.open(page_text) as opened:
        opened.page.locator("#n_analyse").click()
        assert opened.text("#panel h3") == "analyse"
        assert opened.text("#panel .chip") == "✓ done after retry"
        panel = opened.text("#panel")
        for words in (
            "Attempts",
            "2",
            "Tokens",
            "5.0k in, 300 out",
            "$0.03",
            "one two three",
            "TimeoutError: too slow",
        ):
            assert words in panel
        assert opened.page.locator("#panel .after").all_text_contents() == ['+after: "analysed 2"', "+after: 0.8"]
        opened.page.locator("#n_analyse").click()
        assert opened.text("#panel h3") == "analyse#2"


def test_a_node_can_be_chosen_with_the_keyboard(browser: Chromium, page_text: str) -> None:
    with browser.open(page_text) as opened:
        opened.page.locator("#n_score").focus()
        opened.press("Enter")
        assert opened.text("#panel h3") == "score"
        assert opened.text("#said") == "score, done"


def test_a_row_of_the_table_chooses_its_step(browser: Chromium, page_text: str) -> None:
    with browser.open(page_text) as opened:
        opened.page.get_by_role("button", name="read[1]", exact=True).click()
        assert opened.page.locator("#panel pre").all_text_contents() == ["two", "<b>two</b>"]
        assert opened.page.locator("tr[aria-current=true] th").all_text_contents() == ["read[1]"]


def test_keys_go_through_the_steps_and_to_the_parts_of_the_page(browser: Chromium, page_text: str) -> None:
    with browser.open(page_text) as opened:
        opened.press("j", "j", "k")
        assert opened.text("#panel h3") == "analyse"
        opened.press("s")
        assert opened.page.evaluate("document.activeElement.closest('section').id") == "state"
        opened.press("g")
        assert opened.page.evaluate("document.activeElement.closest('section').id") == "graph"
        opened.press("Escape")
        assert opened.page.locator("#panel h3").count() == 0
        opened.press("?")
        assert opened.page.locator("dialog").is_visible()
        opened.press("Escape")
        assert not opened.page.locator("dialog").is_visible()
        opened.press("/")
        opened.page.keyboard.type("triage")
        assert opened.page.locator("#steps tbody tr").count() == 2
        assert opened.text("#steps .count") == "2 steps found"


def test_what_has_the_focus_is_seen_to_have_it(browser: Chromium, page_text: str) -> None:
    with browser.open(page_text) as opened:
        for _ in range(5):
            opened.press("Tab")
            style = opened.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style == "solid"


def test_a_failed_step_tells_its_whole_error(browser: Chromium) -> None:
    with browser.open(render(reviewed(faulty=True), "html")) as opened:
        assert "no weight\nfor clause 3" in opened.text("#result")
        opened.page.locator("#n_score").click()
        assert opened.text("#panel .failure pre") == "ValueError: no weight\nfor clause 3"
        traceback = (
            opened.page.locator("#panel .payload", has_text="Traceback").locator("pre").last.text_content() or ""
        )
        assert ", in score\n" in traceback


def test_an_answered_question_tells_who_answered_and_how_long_that_took(browser: Chromium) -> None:
    report = holding(["an order"])
    (step,) = report.trace.tasks
    wait = WaitTrace(
        kind="ask",
        id="q",
        text="Ship <b>it</b>?",
        asked=START,
        settled=START + timedelta(minutes=75),
        how="answered",
        by="ada",
        answer='"yes"',
        refused=1,
    )
    trace = replace(report.trace, tasks=(replace(step, wait=wait),))
    with browser.open(render(replace(report, trace=trace), "html")) as opened:
        opened.press("j")
        told = opened.page.locator("#panel .payload", has_text="Question").first
        assert told.locator("pre").first.text_content() == "Ship <b>it</b>?"
        assert told.locator("dt").all_text_contents() == ["Asked", "Answered", "Answered by", "Took", "Refused"]
        assert told.locator("dd").all_text_contents()[2:] == ["ada", "1 h 15 min", "1 answer"]
        assert opened.page.locator("#panel .payload", has_text="Answer").locator("pre").last.text_content() == "yes"
        assert opened.faults() == []


# --- the timeline -----------------------------------------------------------------------------------------------------


def test_a_bar_of_the_timeline_chooses_its_step_by_mouse_and_by_key(browser: Chromium, page_text: str) -> None:
    with browser.open(page_text) as opened:
        bar = opened.page.locator("#timeline [data-kind=running]")
        bar.nth(0).click(force=True)
        assert opened.text("#panel h3") == "analyse"
        assert opened.page.locator("#timeline .tl-bar.chosen").count() >= 2
        bar.nth(1).focus()
        opened.press("Enter")
        assert opened.text("#panel h3") == "analyse#2"
        opened.press("t")
        assert opened.page.evaluate("document.activeElement.closest('section').id") == "timeline"


def test_the_time_can_be_spread_out_and_back(browser: Chromium, page_text: str) -> None:
    with browser.open(page_text) as opened:
        bar = opened.page.locator("#timeline [data-kind=running] .tl-ink").first
        before = float(bar.get_attribute("width") or 0)
        title = opened.page.locator("#timeline .tl-title").first
        opened.press("+", "+")
        assert float(bar.get_attribute("width") or 0) == pytest.approx(4 * before)
        opened.page.locator("#timeline figure").evaluate("box => { box.scrollLeft = 300 }")
        opened.page.locator("#timeline .tl-title[transform]").first.wait_for()
        assert title.get_attribute("transform") != "translate(0)"
        opened.press("-")
        opened.page.locator("#all").click()
        assert float(bar.get_attribute("width") or 0) == pytest.approx(before)
        assert opened.page.locator("#all").is_disabled()


# --- going back in time -----------------------------------------------------------------------------------------------


def test_picture_and_state_follow_the_slider(browser: Chromium, page_text: str) -> None:
    with browser.open(page_text) as opened:
        assert opened.page.locator("#slider").get_attribute("aria-valuetext") == (
            "checkpoint 10 of 10, completed score"
        )
        opened.page.locator("#slider").focus()
        opened.press("Home", "ArrowRight")
        assert opened.text("#where") == "Checkpoint 2 of 10"
        assert opened.text("#what").startswith("completed analyse · ")
        assert opened.page.locator("#n_analyse").get_attribute("data-then") == "retried"
        assert opened.page.locator("#n_triage").get_attribute("data-then") == "pending"
        assert opened.page.locator("#n_score").get_attribute("data-then") == "unreached"
        assert opened.page.locator("#n_analyse .then").all_text_contents() == ["✓ analyse", "done after retry"]
        assert opened.page.locator(".fields dd").all_text_contents() == ['[\n  "analysed 2"\n]', "0.8"]
        assert opened.page.locator("#state .before").all_text_contents() == ["−before: 0.1"]
        assert opened.text("#panel h3") == "analyse"
        assert opened.page.evaluate("location.hash") == "#step=2"
        opened.page.locator("#now").click()
        assert opened.text("#where") == "Checkpoint 10 of 10"
        assert not opened.page.locator("#n_analyse .then").first.is_visible()
        assert opened.page.evaluate("location.hash") == ""


def test_an_arrow_is_taken_from_the_checkpoint_on_that_took_it(browser: Chromium, page_text: str) -> None:
    with browser.open(page_text, "#step=5") as opened:
        taken = opened.page.locator("g.edge[data-then=taken]").count()
        opened.press("[", "[", "[", "[")
        assert opened.text("#where") == "Checkpoint 1 of 10"
        assert opened.page.locator("g.edge[data-then=taken]").count() == 1
        assert taken == 4


def test_a_join_gathers_until_it_lets_its_value_go(browser: Chromium, page_text: str) -> None:
    with browser.open(page_text, "#step=8") as opened:
        assert opened.page.locator("#n_collect").get_attribute("data-then") == "pending"
        opened.press("]")
        assert opened.page.locator("#n_collect").get_attribute("data-then") == "done"


def test_a_link_leads_to_a_checkpoint(browser: Chromium, page_text: str) -> None:
    with browser.open(page_text, "#step=7") as opened:
        assert opened.text("#where") == "Checkpoint 7 of 10"
        assert opened.text("#panel h3").startswith("read[")
        opened.page.evaluate("location.hash = '#step=3'")
        opened.page.locator("#where", has_text="Checkpoint 3 of 10").wait_for()
    for wrong in ("#step=0", "#step=99", "#step=x", "#%E0", "#n_analyse"):
        with browser.open(page_text, wrong) as opened:
            assert opened.text("#where") == "Checkpoint 10 of 10"


def test_the_step_of_a_checkpoint_leads_back_to_it(browser: Chromium, page_text: str) -> None:
    with browser.open(page_text) as opened:
        opened.page.locator("#n_split").click()
        opened.page.get_by_role("button", name="Go to checkpoint 6").click()
        assert opened.text("#where") == "Checkpoint 6 of 10"


# --- nothing is carried out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("texts", [NASTY, BREAKING], ids=["nasty", "breaking"])
def test_every_payload_is_shown_as_it_was_stored(browser: Chromium, texts: tuple[str, ...]) -> None:
    with browser.open(render(holding(texts), "html")) as opened:
        for text in texts:
            opened.press("j")
            wanted = shown(paired(text))
            error = [] if not text else [shown(paired(clean(text)))]
            assert opened.page.locator("#panel .payload pre").all_text_contents() == [*error, wanted, wanted]
        assert opened.page.evaluate("document.scripts.length") == 2


@given(label=hostile, texts=st.lists(hostile | st.sampled_from(BREAKING), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_somebody_writes_is_carried_out(browser: Chromium, label: str, texts: list[str]) -> None:
    with browser.open(render(holding(texts, label=label or "a"), "html", theme="auto")) as opened:
        opened.press("j")
        assert opened.page.locator("#panel .payload pre").last.text_content() == shown(paired(texts[0]))
        opened.press("[", "s", "g")
        assert opened.page.evaluate("document.documentElement.dataset.ready") == "yes"
        assert opened.page.evaluate("document.scripts.length") == 2
        assert opened.page.evaluate("document.querySelectorAll('img, iframe, object, b').length") == 0


def test_the_policy_stops_whatever_else_would_run_or_load(browser: Chromium, page_text: str) -> None:
    added = page_text.replace("</footer>", "</footer><script>document.title = 'run'</script><img src='file:///x.png'>")
    with browser.open(added) as opened:
        assert opened.page.title() == "review · ✓ completed"
        assert [text for text in opened.said if "Content Security Policy" not in text] == []
        assert len(opened.said) == 2
        assert opened.page.evaluate("document.images[0].naturalWidth") == 0
        opened.said.clear()  # they have been stopped, and said so, which no page of ours has to
        del opened.asked[1:]


# --- large runs -------------------------------------------------------------------------------------------------------


def test_ten_times_as_many_steps_are_not_ten_times_the_work_to_make_a_page_of() -> None:
    few, many_more = many(1_000), many(10_000)
    render(many(20), "html")  # loads what is loaded late
    work = calls_of(lambda: render(few, "html"))
    assert calls_of(lambda: render(many_more, "html")) < 6 * work


def test_ten_times_as_many_steps_are_as_many_elements_and_not_ten_times_the_work_of_the_script(
    browser: Chromium,
) -> None:
    opening: list[int] = []
    turning: list[int] = []
    elements: list[int] = []
    for number in (1_000, 10_000):
        with browser.open(render(many(number), "html"), counted=True) as opened:
            assert opened.work is not None
            opening.append(opened.work.done())
            elements.append(opened.page.evaluate("document.querySelectorAll('*').length"))
            opened.page.locator("#later").click()
            opened.page.locator("#slider").fill("500")
            turning.append(opened.work.done())
    assert elements[0] == elements[1]
    assert 1_000 < opening[1] < 6 * opening[0]
    assert 1_000 < turning[1] < 6 * turning[0]


def test_a_run_of_ten_thousand_steps_shows_some_at_a_time(browser: Chromium) -> None:
    text = render(many(10_000), "html")
    assert len(text) < 8_000_000
    with browser.open(text) as opened:
        assert opened.page.locator("#steps tbody tr").count() == 200
        assert opened.text("#steps .count") == "Steps 1 to 200 of 10,000"
        opened.page.locator("#later").click()
        assert opened.text("#steps .count") == "Steps 201 to 400 of 10,000"
        opened.page.locator("#find").fill("a#9999")
        assert opened.page.locator("#steps tbody th").all_text_contents() == ["a#9999"]
        opened.page.locator("#slider").fill("5000")
        assert opened.page.locator(".fields pre").all_text_contents() == ["4999"]


def test_a_page_is_bounded_however_large_a_run_is() -> None:
    small, large = render(many(1_000, 4_000), "html"), render(many(14_000, 16_000), "html")
    assert len(small) < 8_000_000
    assert len(large) < 9_000_000
    assert "The first 12,000 of 14,001 checkpoints." in large
    assert "The first 12,000 of 14,000 steps." in large


def test_a_cut_payload_says_so(browser: Chromium) -> None:
    with browser.open(render(holding(["é" * 40_000]), "html")) as opened:
        opened.press("j")
        assert "The first 16,384 characters." in opened.page.locator("#panel .note").all_text_contents()
        assert opened.page.locator("#panel h4 small").all_text_contents()[:2] == [
            "40,000 characters",
            "40,002 characters",
        ]


def test_the_data_of_a_page_is_json_and_holds_no_markup(page_text: str) -> None:
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page_text)
    assert len(json.loads(data)["checkpoints"]) == 10
    assert not set(data) & set("<>&\u2028\u2029")
