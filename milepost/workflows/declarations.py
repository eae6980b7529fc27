"""The nodes of a workflow as its author declares them: what computes, asks, decides, streams, nests and waits."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, overload

from pydantic_graph.util import unpack_type_expression
from typing_extensions import TypeForm, TypeVar, Unpack

from milepost.engine.asking import TimeUp
from milepost.engine.errors import WorkflowError
from milepost.engine.hints import Names, caller_names
from milepost.engine.policy import PolicyOptions
from milepost.engine.spec import NO_DEFAULT, Resume
from milepost.engine.typed import GraphBuilder, Step, StepContext, StreamFunction
from milepost.engine.workflow import Workflow
from milepost.nodes.decision import DecideDecorator, DecideNode
from milepost.nodes.function import Body, FunctionDecorator, Options, applied
from milepost.nodes.stream import StreamDecorator
from milepost.nodes.subworkflow import Feed, subworkflow_step
from milepost.workflows.draft import UNSET, Draft, Unset

if TYPE_CHECKING:
    from pydantic_ai import UsageLimits
    from pydantic_ai.agent import AbstractAgent

    from milepost.nodes.agent import AgentDecorator
    from milepost.nodes.wait import AskDecorator, Deadline, Time, TimeOrMaker, WaitStep

StateT = TypeVar("StateT", default=None)
DepsT = TypeVar("DepsT", default=None)
GraphInputT = TypeVar("GraphInputT", default=None)
GraphOutputT = TypeVar("GraphOutputT", default=None)
InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")
LabelT = TypeVar("LabelT")
AgentDepsT = TypeVar("AgentDepsT")
FirstT = TypeVar("FirstT")
SecondT = TypeVar("SecondT")
ThirdT = TypeVar("ThirdT")
ChildStateT = TypeVar("ChildStateT")
ChildDepsT = TypeVar("ChildDepsT")
ChildInputT = TypeVar("ChildInputT")


class NodeDeclarations(GraphBuilder[StateT, DepsT, GraphInputT, GraphOutputT]):
    """Declares the nodes of a workflow; a part of `WorkflowBuilder`."""

    _draft: Draft

    @overload
    def function(
        self, function: Callable[[StepContext[StateT, DepsT, InputT]], Awaitable[OutputT]], /
    ) -> Step[StateT, DepsT, InputT, OutputT]: ...

    @overload
    def function(
        self, function: Callable[[StepContext[StateT, DepsT, InputT]], OutputT], /
    ) -> Step[StateT, DepsT, InputT, OutputT]: ...

    @overload
    def function(
        self,
        *,
        label: str | None = None,
        node_id: str | None = None,
        thread: bool = False,
        **policy: Unpack[PolicyOptions],
    ) -> FunctionDecorator[StateT, DepsT]: ...

    def function(
        self,
        function: Body | None = None,
        *,
        label: str | None = None,
        node_id: str | None = None,
        thread: bool = False,
        **policy: Unpack[PolicyOptions],
    ) -> Any:
        """Make a node of a function, synchronous or not. It takes a `StepContext`; what it returns flows on.

        label: its name in pictures. node_id: its id, else the function's name. thread: carry out a synchronous function
        in a worker thread, so that it may take its time. policy: how it is carried out, as the parts of a `Policy`.
        """
        options = self._options(node_id, label, policy, caller_names())
        decorator: FunctionDecorator[StateT, DepsT] = FunctionDecorator(options, thread)
        return applied(decorator, function)

    @overload
    def decide(
        self, function: Callable[[StepContext[StateT, DepsT, InputT]], Awaitable[LabelT]], /
    ) -> DecideNode[StateT, DepsT, InputT, LabelT]: ...

    @overload
    def decide(
        self, function: Callable[[StepContext[StateT, DepsT, InputT]], LabelT], /
    ) -> DecideNode[StateT, DepsT, InputT, LabelT]: ...

    @overload
    def decide(
        self,
        *,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> DecideDecorator[StateT, DepsT]: ...

    def decide(
        self,
        function: Body | None = None,
        *,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> Any:
        """Make a node of a function that chooses: what it returns says which edge is taken, what came in flows on.

        Annotate it with a Literal, an Enum or bool, so that it can be known whether every choice has an edge.
        """
        options = self._options(node_id, label, policy, caller_names())
        decorator: DecideDecorator[StateT, DepsT] = DecideDecorator(options)
        return applied(decorator, function)

    def agent(
        self,
        agent: AbstractAgent[AgentDepsT, OutputT],
        *,
        deps: Callable[[StepContext[StateT, DepsT, Any]], AgentDepsT] | None = None,
        usage_limits: UsageLimits | None = None,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> AgentDecorator[StateT, DepsT, OutputT]:
        """Make a node that asks a pydantic-ai agent. The decorated function, synchronous or not, makes the prompt.

        deps: makes the agent's dependencies. usage_limits: for one run of the agent. The rest is as in `function`.
        """
        from milepost.nodes.agent import AgentDecorator

        options = self._options(node_id, label, policy, caller_names())
        return AgentDecorator(agent, deps, usage_limits, options)

    @overload
    def stream(
        self,
        *,
        node_id: str | None = None,
        label: str | None = None,
        resume: Resume = "skip",
        **policy: Unpack[PolicyOptions],
    ) -> Callable[
        [StreamFunction[StateT, DepsT, InputT, OutputT]], Step[StateT, DepsT, InputT, AsyncIterable[OutputT]]
    ]: ...

    @overload
    def stream(
        self,
        call: StreamFunction[StateT, DepsT, InputT, OutputT],
        *,
        node_id: str | None = None,
        label: str | None = None,
        resume: Resume = "skip",
        **policy: Unpack[PolicyOptions],
    ) -> Step[StateT, DepsT, InputT, AsyncIterable[OutputT]]: ...

    @overload
    def stream(
        self,
        call: StreamFunction[StateT, DepsT, InputT, OutputT] | None = None,
        *,
        node_id: str | None = None,
        label: str | None = None,
        resume: Resume = "skip",
        **policy: Unpack[PolicyOptions],
    ) -> (
        Step[StateT, DepsT, InputT, AsyncIterable[OutputT]]
        | Callable[
            [StreamFunction[StateT, DepsT, InputT, OutputT]], Step[StateT, DepsT, InputT, AsyncIterable[OutputT]]
        ]
    ): ...

    def stream(
        self,
        call: Body | None = None,
        *,
        node_id: str | None = None,
        label: str | None = None,
        resume: Resume = "skip",
        **policy: Unpack[PolicyOptions],
    ) -> Any:
        """Make a node of an asynchronous generator. Its items start what follows as they come, through a map.

        resume: how a run that is resumed gets past the items that are committed: "skip", the generator gives them again
        and each is compared with what was stored; "seek", it asks `milepost.current().taken` how many there were and
        goes on from there. A time limit is for one item. The rest is as in `function`.
        """
        options = self._options(node_id, label, policy, caller_names())
        decorator: StreamDecorator[StateT, DepsT] = StreamDecorator(options, resume)
        return applied(decorator, call)

    @overload
    def subworkflow(
        self,
        child: Workflow[ChildStateT, ChildDepsT, InputT, OutputT]
        | Callable[[], Workflow[ChildStateT, ChildDepsT, InputT, OutputT]],
        *,
        state: Callable[[StepContext[StateT, DepsT, InputT]], ChildStateT] | None = None,
        deps: Callable[[StepContext[StateT, DepsT, InputT]], ChildDepsT] | None = None,
        node_id: str | None = None,
        label: str | None = None,
        depth: int = 10,
        **policy: Unpack[PolicyOptions],
    ) -> Step[StateT, DepsT, InputT, OutputT]: ...

    @overload
    def subworkflow(
        self,
        child: Workflow[ChildStateT, ChildDepsT, ChildInputT, OutputT]
        | Callable[[], Workflow[ChildStateT, ChildDepsT, ChildInputT, OutputT]],
        *,
        inputs: Callable[[StepContext[StateT, DepsT, InputT]], ChildInputT],
        state: Callable[[StepContext[StateT, DepsT, InputT]], ChildStateT] | None = None,
        deps: Callable[[StepContext[StateT, DepsT, InputT]], ChildDepsT] | None = None,
        node_id: str | None = None,
        label: str | None = None,
        depth: int = 10,
        **policy: Unpack[PolicyOptions],
    ) -> Step[StateT, DepsT, InputT, OutputT]: ...

    def subworkflow(
        self,
        child: object,
        *,
        inputs: Callable[[Any], Any] | None = None,
        state: Callable[[Any], Any] | None = None,
        deps: Callable[[Any], Any] | None = None,
        node_id: str | None = None,
        label: str | None = None,
        depth: int = 10,
        **policy: Unpack[PolicyOptions],
    ) -> Any:
        """Make a node that runs a workflow: every task of it has a run of its own, and what that returns flows on.

        child: the workflow, or a function without arguments that returns it, called when it is first needed, so that a
        workflow can run itself. inputs: makes its inputs of the step context, else it gets the node's own. state: makes
        its state, else that is made from its type. deps: makes its deps, else it gets the node's own if it wants any.
        node_id: its id, else the name of the workflow or function. depth: how many workflows may be inside one another,
        if this node is the outermost of them. The rest is as in `function`.
        """
        options = self._options(node_id, label, policy, caller_names())
        parent_deps: object = unpack_type_expression(self.deps_type)
        return subworkflow_step(child, Feed(inputs=inputs, state=state, deps=deps), depth, parent_deps, options)

    def ask(
        self,
        answer: TypeForm[OutputT],
        *,
        deadline: TimeOrMaker | None = None,
        default: OutputT | Unset = UNSET,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> AskDecorator[StateT, DepsT, OutputT]:
        """Make a node that asks a person. The decorated function makes the question, as text or as a `Question`.

        answer: the type of what is answered, which flows on. The run waits for it, and its process may end meanwhile;
        `engine.answer(...)` or `milepost answer` gives it. deadline: how long it is waited for (a timedelta, or
        seconds), until when (an aware datetime), or a function of the step context that says so. default: what flows on
        when the deadline passes; without one the node fails with `DeadlinePassed`, for which there may be an edge with
        on_timeout=True. The rest is as in `function`; a time limit is for the function alone.
        """
        from milepost.nodes.wait import AskDecorator

        options = self._options(node_id, label, policy, caller_names())
        return AskDecorator(answer, self._deadline(deadline, default), options)

    def wait_for(
        self,
        event: str,
        carries: TypeForm[OutputT],
        *,
        key: Callable[[StepContext[StateT, DepsT, Any]], str | None] | None = None,
        early: Literal["keep", "refuse"] = "keep",
        deadline: TimeOrMaker | None = None,
        default: OutputT | Unset = UNSET,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> WaitStep[StateT, DepsT, Any, OutputT, OutputT]:
        """Make a node that waits for an event from outside: `engine.send(...)` or `milepost send` tells it.

        event: its name. carries: the type of what it carries, which flows on. key: makes of the step context what it
        has to be about, so that each of several tasks gets its own. early: what becomes of an event that comes before
        anything waits for it. node_id: its id, else the name of the event. The rest is as in `ask`.
        """
        from milepost.nodes.wait import event_step

        if early not in ("keep", "refuse"):
            raise WorkflowError(f"early={early!r} is not known. Write 'keep' or 'refuse'.")
        options = self._options(node_id, label, policy, caller_names())
        made = self._deadline(deadline, default)
        return event_step(event, carries, key, early == "keep", made, options)

    @overload
    def sleep(
        self,
        until: Callable[[StepContext[StateT, DepsT, InputT]], Time | Awaitable[Time]],
        *,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> WaitStep[StateT, DepsT, InputT, InputT, TimeUp]: ...

    @overload
    def sleep(
        self,
        until: Time,
        *,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> WaitStep[StateT, DepsT, Any, Any, TimeUp]: ...

    def sleep(
        self,
        until: object,
        *,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> Any:
        """Make a node that waits for a time; what came in flows on. The process may end meanwhile.

        until: how long (a timedelta, or seconds), until when (an aware datetime), or a function of the step context
        that says so. A time that has passed is not waited for. node_id: its id, else the function's name, or "sleep".
        """
        from milepost.nodes.wait import time_step

        return time_step(until, self._options(node_id, label, policy, caller_names()))

    @overload
    def race(
        self,
        first: WaitStep[StateT, DepsT, InputT, Any, FirstT],
        second: WaitStep[StateT, DepsT, InputT, Any, SecondT],
        /,
        *,
        label: str | None = None,
        node_id: str | None = None,
    ) -> Step[StateT, DepsT, InputT, FirstT | SecondT]: ...

    @overload
    def race(
        self,
        first: WaitStep[StateT, DepsT, InputT, Any, FirstT],
        second: WaitStep[StateT, DepsT, InputT, Any, SecondT],
        third: WaitStep[StateT, DepsT, InputT, Any, ThirdT],
        /,
        *more: WaitStep[StateT, DepsT, InputT, Any, ThirdT],
        label: str | None = None,
        node_id: str | None = None,
    ) -> Step[StateT, DepsT, InputT, FirstT | SecondT | ThirdT]: ...

    def race(self, *runners: object, label: str | None = None, node_id: str | None = None) -> Any:
        """Make a node that waits for several things at once: the first to come wins, and flows on.

        runners: what `ask`, `wait_for` and `sleep` return; they are no nodes of their own then. A time that wins gives
        a `TimeUp`. What was open besides is closed in the same record. node_id: its id, else made of theirs.
        """
        from milepost.nodes.wait import race_step

        return race_step(runners, self._options(node_id, label, {}, caller_names()), self._draft.withdraw)

    def _deadline(self, until: Any, default: object) -> Deadline:
        from milepost.nodes.wait import Deadline

        return Deadline(until=until, default=NO_DEFAULT if default is UNSET else default)

    def _options(self, node_id: str | None, label: str | None, policy: PolicyOptions, names: Names) -> Options:
        announce = self._draft.announced.append
        return Options(node_id=node_id, label=label, policy=policy, names=names, announce=announce)
