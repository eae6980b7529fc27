"""The workflow of the demo: the contract review, with a ledger of all paid calls, in a process that can be made to die.

The demo runs it in processes of its own, and tells them through the environment what to do.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, UserPromptPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel

from milepost.cli.ledger import DIES_AT, LEDGER, MODEL, PAUSE, Ledger
from milepost.workflows.contract_review.graph import review_workflow
from milepost.workflows.contract_review.reviewers import scripted_model

if TYPE_CHECKING:
    from pydantic_ai.settings import ModelSettings

SCRIPTED_SIDE_BY_SIDE: Final = 2
REAL_SIDE_BY_SIDE: Final = 8
SHORTEST_LIFE: Final = 0.2
"""Seconds of the call in whose midst the process dies: what was answered before it has the time to be saved."""


class MeteredModel(WrapperModel):
    """A model that is asked a few things at a time, and whose calls are written down.

    side_by_side: how many things. dies_at: the call, counted from 1, in whose midst the whole process is killed; 0 for
    never. pause: seconds that are added to each call, so that one can see it work.
    """

    def __init__(self, wrapped: Model | str, ledger: Ledger, *, side_by_side: int, dies_at: int, pause: float) -> None:
        super().__init__(wrapped)
        self._ledger = ledger
        self._dies_at = dies_at
        self._pause = pause
        self._line = anyio.Semaphore(side_by_side)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Write the call down, perhaps die, and answer."""
        async with self._line:
            self._ledger.add(*_asked(messages))
            if self._ledger.calls == self._dies_at:
                await anyio.sleep(max(self._pause, SHORTEST_LIFE) / 2)
                os.kill(os.getpid(), signal.SIGKILL)
            await anyio.sleep(self._pause)
            return await super().request(messages, model_settings, model_request_parameters)


def _asked(messages: Sequence[ModelMessage]) -> tuple[int, int]:
    """Return which look it is, and at which clause."""
    parts = (part for message in messages if isinstance(message, ModelRequest) for part in message.parts)
    prompt = next(str(part.content) for part in parts if isinstance(part, UserPromptPart))
    found = re.match(r"(?:Clause|(Second) look at clause) (\d+)", prompt)
    assert found is not None
    return (2 if found[1] else 1), int(found[2])


def _metered() -> MeteredModel:
    name = os.environ.get(MODEL)
    ledger = Ledger(Path(os.environ.get(LEDGER, os.devnull)))
    dies_at = int(os.environ.get(DIES_AT, "0"))
    pause = float(os.environ.get(PAUSE, "0"))
    side_by_side = REAL_SIDE_BY_SIDE if name else SCRIPTED_SIDE_BY_SIDE
    return MeteredModel(name or scripted_model(), ledger, side_by_side=side_by_side, dies_at=dies_at, pause=pause)


workflow = review_workflow(_metered())
