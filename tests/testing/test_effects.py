"""The recorder of what nodes do to the world."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from milepost import InputError, StepContext, Workflow, WorkflowBuilder
from milepost.testing import Effect, Effects


def paying(times: int = 1) -> Workflow[None, Effects, int, int]:
    wf = WorkflowBuilder(name="paying", deps_type=Effects, input_type=int, output_type=int)

    @wf.function
    async def debit(ctx: StepContext[None, Effects, int]) -> int:
        for _ in range(times):
            ctx.deps.record()
        return ctx.inputs

    @wf.function
    def credit(ctx: StepContext[None, Effects, int]) -> int:
        ctx.deps.record("seller")
        ctx.deps.record("tax")
        return ctx.inputs

    wf.edge(wf.start_node, debit)
    wf.edge(debit, credit)
    wf.edge(credit, wf.end_node)
    return wf.build()


@pytest.fixture
def effects(tmp_path: Path) -> Effects:
    return Effects(tmp_path / "new" / "effects")


def test_effects_are_kept_in_their_order_with_the_key_of_their_task(effects: Effects) -> None:
    paying().run_sync(inputs=5, deps=effects)

    assert [(effect.node, effect.what) for effect in effects.all()] == [
        ("debit", ""),
        ("credit", "seller"),
        ("credit", "tax"),
    ]
    debit, seller, tax = effects.all()
    assert seller.key == tax.key != debit.key
    assert effects.of("debit") == [debit]
    assert Effects(effects.path).all() == effects.all()
    assert repr(effects) == f"<Effects in {str(effects.path)!r}>"


def test_nothing_is_recorded_at_first(effects: Effects) -> None:
    assert effects.all() == []
    effects.assert_once()


def test_effects_are_counted_by_task(effects: Effects) -> None:
    for _ in range(2):
        paying().run_sync(inputs=5, deps=effects, store="memory:", run_id="r-1")
    paying().run_sync(inputs=5, deps=effects, store="memory:", run_id="r-2")

    assert Counter(effects.counts().values()) == {2: 3, 1: 3}


def test_effects_that_differ_are_each_had_once(effects: Effects) -> None:
    paying().run_sync(inputs=5, deps=effects)

    effects.assert_once()
    effects.assert_once("debit", "credit")


def test_an_effect_that_was_had_twice_is_told(effects: Effects) -> None:
    paying(times=2).run_sync(inputs=5, deps=effects)
    key = effects.all()[0].key

    effects.assert_once("credit")
    with pytest.raises(AssertionError) as caught:
        effects.assert_once()
    assert str(caught.value) == f"1 of 3 effects were had more than once:\n  'debit' with key {key}: 2 times"


def test_an_effect_that_was_never_had_is_told(effects: Effects) -> None:
    paying().run_sync(inputs=5, deps=effects)

    with pytest.raises(AssertionError, match=r"Nothing was recorded in 'other', 'refund'\."):
        effects.assert_once("debit", "refund", "other")


def test_an_effect_names_what_it_was() -> None:
    assert str(Effect("credit", "k-1", "tax")) == "'credit' ('tax') with key k-1"


def test_outside_of_a_node_nothing_can_be_recorded(effects: Effects) -> None:
    with pytest.raises(InputError, match="only be recorded inside of a node"):
        effects.record()


def pay_and_die(path: Path) -> None:
    wf = WorkflowBuilder(name="dying", output_type=int)

    @wf.function
    async def die(ctx: StepContext[None, None, None]) -> int:
        Effects(path).record()
        os.kill(os.getpid(), signal.SIGKILL)
        return 1

    wf.edge(wf.start_node, die)
    wf.edge(die, wf.end_node)
    wf.build().run_sync()


def test_what_is_recorded_survives_a_kill(effects: Effects) -> None:
    process = multiprocessing.get_context("spawn").Process(target=pay_and_die, args=(effects.path,))
    process.start()
    process.join()

    assert process.exitcode == -signal.SIGKILL
    assert [effect.node for effect in effects.all()] == ["die"]
