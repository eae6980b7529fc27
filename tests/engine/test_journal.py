"""Records and snapshots are read back as they were written, and hashed in a chain."""

from __future__ import annotations

import json

import pytest

from milepost.engine.journal import Kind, Record, Timing, Tried
from milepost.engine.journal_text import chained, from_text, op_from_json, op_to_text, to_text, values_from_text
from milepost.engine.position import (
    Cancel,
    Finish,
    Fire,
    Item,
    LiveStream,
    Op,
    OpenJoin,
    Position,
    Spawn,
    SpawnEach,
    Stream,
    StreamEnd,
    Task,
    WaitingJoin,
)
from milepost.engine.snapshots import pointed_at, snapshot_from_text, snapshot_to_text
from milepost.engine.trace import Usage
from milepost.engine.values import NOT_LOADED, Ref, Value

STACK = (("__start__", "s" * 32, 0), ("map", "m" * 32, 3))
OPS: list[Op] = [
    Spawn("map#1/a%2Fb", Ref(4, 0)),
    SpawnEach("map", "#", "review", Ref(4, 0), 10),
    Stream("map#"),
    StreamEnd("k" * 32),
    OpenJoin("collect", "r" * 32, "map#0/collect"),
    Item("collect", "r" * 32, "map#0/collect", Ref(4, 0, 3)),
    Fire("collect", "r" * 32, None),
    Fire("collect", "r" * 32, "map"),
    Cancel("collect", "r" * 32, ("a", "b")),
    Finish("__end__", Ref(4, 0)),
]


def full() -> Record:
    """Return a record that has everything."""
    return Record(
        4,
        Kind.COMPLETED,
        "k" * 32,
        "review",
        values=[Value("out:review", '{"a":"[1,\\"]"}', NOT_LOADED), Value("edge:0:review", "[1,2]", NOT_LOADED)],
        ops=OPS,
        patch={"notes": (3, 0, ',"x"'), "gone": None},
        unrouted=True,
        chosen=["high", "3"],
        timing=Timing(1.5, 2.25, 3),
        usage=Usage(requests=1, input_tokens=2, output_tokens=3, cost=0.5),
        error="ValueError: no",
    )


def comparable(record: Record) -> tuple[object, ...]:
    values = [(value.tag, value.text) for value in record.values]
    named = {name: getattr(record, name) for name in Record.__slots__ if name != "values"}
    return values, named


@pytest.mark.parametrize(
    "record", [full(), Record(1, Kind.STARTED, "0" * 32), Record(9, Kind.CANCELLED, "", error="x")]
)
def test_a_record_is_read_back_as_it_was_written(record: Record) -> None:
    body, content = to_text(record)

    assert comparable(from_text(record.seq, body, content)) == comparable(record)
    assert to_text(from_text(record.seq, body, content)) == (body, content)


def test_what_is_written_is_plain_json() -> None:
    body, content = to_text(full())

    assert json.loads(body)["kind"] == "completed"
    assert json.loads(content) == ["out:review", {"a": '[1,"]'}, "edge:0:review", [1, 2]]


@pytest.mark.parametrize("name", ['a"\\b', "\n\x00\x1f\x7f", "é\u2028\U0001f600", ""])
def test_what_authors_and_values_say_is_written_as_json_whatever_it_is(name: str) -> None:
    ref, values = Ref(4, 0), [Value(f"out:{name}", "1", NOT_LOADED)]
    ops: list[Op] = [
        *(
            Spawn(name, ref),
            SpawnEach(name, "#", name, ref, 2),
            Stream(name),
            StreamEnd(name),
            OpenJoin(name, name, name),
        ),
        *(Item(name, name, name, ref), Fire(name, name, name), Cancel(name, name, (name,)), Finish(name, ref)),
    ]
    record = Record(4, Kind.COMPLETED, "k", name, values, ops=ops, patch={name: (0, 0, name)}, chosen=[name])

    assert comparable(from_text(4, *to_text(record))) == comparable(record)


def test_half_of_a_pair_of_surrogates_is_written_into_no_journal() -> None:
    with pytest.raises(UnicodeEncodeError):
        chained("", 1, *to_text(Record(1, Kind.STARTED, "k", "\ud800")))


@pytest.mark.parametrize("at", [0.0, 5, 1e-9, 1764373890.1234567, 1e300])
def test_a_time_is_read_back_to_its_last_digit(at: float) -> None:
    record = Record(1, Kind.COMPLETED, "k", timing=Timing(at, at, 1, (Tried(at, at, "no"),)))

    assert from_text(1, *to_text(record)).timing == record.timing


def test_the_hash_of_a_record_is_what_it_has_always_been() -> None:
    assert chained("a" * 32, 7, '{"k":"é"}', '["x",1]') == "8818b68de4ae448ad6ed21537343b985"
    assert chained("a" * 32, 7, '{"k":"é"}', '["x",1]', '{"seq":7}') == "69aa8d5a628c3148195043be2596a117"


def test_what_a_record_does_not_have_is_not_written() -> None:
    body, content = to_text(Record(1, Kind.STARTED, "0" * 32))

    assert json.loads(body) == {"kind": "started", "task": "0" * 32}
    assert content == "[]"


@pytest.mark.parametrize("op", OPS, ids=lambda op: type(op).__name__)
def test_every_op_is_read_back_as_it_was_written(op: Op) -> None:
    values = [Value("out:a", "1", NOT_LOADED)]

    again = op_from_json(json.loads(op_to_text(op)), 4, values)

    assert (type(again), again) == (type(op), op)


def test_a_reference_to_a_value_of_its_own_record_finds_it() -> None:
    values = [Value("out:a", "1", NOT_LOADED)]
    here, there = (op_from_json(["spawn", "a", [seq, 0]], 4, values) for seq in (4, 3))

    assert isinstance(here, Spawn)
    assert isinstance(there, Spawn)
    assert here.ref.value is values[0]
    assert there.ref.value is None


@pytest.mark.parametrize("given", [["jump", "a"], [], ["spawn"], ["fire", 1]])
def test_an_op_that_is_not_known_is_refused(given: list[object]) -> None:
    with pytest.raises(ValueError, match="is not an operation that this version knows"):
        op_from_json(given, 1, [])


@pytest.mark.parametrize("body", ['{"kind":"jumped","task":""}', "{", ""])
def test_a_text_that_is_not_a_record_is_refused(body: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # three causes, three texts
        from_text(1, body, "[]")


def test_values_are_decoded_when_they_are_needed() -> None:
    first, second = values_from_text('["out:a",{"x":[1,2]},"in:b","text"]')

    assert [(one.tag, one.text, one.live) for one in (first, second)] == [
        ("out:a", '{"x":[1,2]}', NOT_LOADED),
        ("in:b", '"text"', NOT_LOADED),
    ]


def test_a_snapshot_is_read_back_as_it_was_written() -> None:
    task = Task("k" * 32, "review", Ref(3, 0, 2), STACK, 3)
    position = Position(
        seq=7,
        tasks={task.key: task},
        streams={"x": LiveStream("x", task, "map", STACK, "r" * 32, "#", "map", 4, "d" * 32)},
        joins={("collect", "r"): WaitingJoin("collect", "r", STACK, [Ref(5, 0)], {(("__start__", "s"), ("map", "m"))})},
        unrouted={"u": (Task("u", "a", Ref(1, 0), STACK[:1], 1), Ref(6, 0))},
        fields={"notes": '["a"]', "": "3"},
        written={"notes": 6},
        output=Ref(7, 0),
    )

    again = snapshot_from_text(snapshot_to_text(position))

    assert again == position
    assert snapshot_to_text(again) == snapshot_to_text(position)
    assert [ref.place for ref in pointed_at(again)] == [
        (3, 0, 2),
        (3, 0, 2),
        (5, 0, -1),
        (1, 0, -1),
        (6, 0, -1),
        (7, 0, -1),
    ]


def test_the_order_of_lineages_does_not_change_a_snapshot() -> None:
    chains: list[tuple[tuple[str, str], ...]] = [(("f", str(number)),) for number in range(20)]

    def text(order: list[tuple[tuple[str, str], ...]]) -> str:
        return snapshot_to_text(Position(joins={("j", "r"): WaitingJoin("j", "r", STACK, [], set(order))}))

    assert text(chains) == text(chains[::-1])


def test_a_hash_covers_everything_and_what_came_before() -> None:
    given = ("before", 1, "body", "content", None)
    others = [
        ("other", 1, "body", "content", None),
        ("before", 2, "body", "content", None),
        ("before", 1, "bodyc", "ontent", None),
        ("before", 1, "body", "content", ""),
        ("before", 1, "body", "content", "snapshot"),
    ]

    assert chained(*given) == chained(*given)
    assert len({chained(*one) for one in [given, *others]}) == 6


def test_the_attempts_before_the_last_one_are_written_beside_its_timing() -> None:
    tried = (Tried(1.0, 1.25, "ConnectionError: no"), Tried(1.5, 2.0, "TimeoutError: it took longer than 2 seconds"))
    body, content = to_text(Record(2, Kind.COMPLETED, "k" * 32, "a", timing=Timing(3.0, 4.0, 3, tried)))

    assert json.loads(body)["timing"] == [3.0, 4.0, 3]
    assert json.loads(body)["tried"] == [list(one) for one in tried]
    assert from_text(2, body, content).timing == Timing(3.0, 4.0, 3, tried)


def test_a_task_that_was_tried_once_is_written_as_it_was_before_attempts_were_told() -> None:
    body, content = to_text(Record(2, Kind.COMPLETED, "k" * 32, "a", timing=Timing(3.0, 4.0)))

    assert body == '{"kind":"completed","task":"' + "k" * 32 + '","node":"a","timing":[3.0,4.0,1]}'
    assert from_text(2, body, content).timing == Timing(3.0, 4.0)
