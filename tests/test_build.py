"""One validator: what fits a hint is the value, what does not is one line with the innermost key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import pytest

from t5grid.config.build import build, canonical, check_type
from t5grid.config.rules import (
    Above,
    AtLeast,
    AtMost,
    Because,
    Below,
    Count,
    FileName,
    NotEmpty,
    OneOf,
    Probability,
)

NO = 'YAML reads no, off, false as false; quote it: "no"'
YES = 'YAML reads yes, on, true as true; quote it: "yes"'


@dataclass(frozen=True)
class Inner:
    rate: Annotated[float, Above(0), Below(1)]
    word: str = "x"
    axis: ClassVar[str] = "inner"


@dataclass(frozen=True)
class Other:
    size: Count
    inner: Inner | None = None


@dataclass(frozen=True)
class Outer:
    value: Any = None
    parts: list[Inner] = field(default_factory=list)
    named: dict[str, list[Other]] = field(default_factory=dict)
    either: Inner | Other | None = None
    pair: tuple[Inner, int] | None = None


FITTING: list[tuple[Any, Any, Any]] = [
    (1, int, 1),
    (2, float, 2.0),
    (2, float | None, 2),
    (2, float | int, 2),
    (2, Annotated[float, AtLeast(2)], 2.0),
    ("no", str, "no"),
    (None, str | None, None),
    (False, bool, False),
    (["a", "b"], list[str], ["a", "b"]),
    (["a"], Sequence[str], ["a"]),
    ([1, 2.5], list[float], [1, 2.5]),
    ([1, "a"], tuple[int, str], [1, "a"]),
    ((), tuple[int, ...], ()),
    ([[1], []], list[list[int]], [[1], []]),
    ((1, None, "a"), list, (1, None, "a")),
    ({"a": 1}, dict, {"a": 1}),
    ({"a": 1}, Mapping[str, float], {"a": 1.0}),
    ({"a": ["b"], "c": []}, dict[str, list[str]], {"a": ["b"], "c": []}),
    ({"a": {"b": 1}}, dict[str, dict[str, float]], {"a": {"b": 1.0}}),
    ({0: "a", "b": "c"}, dict[int | str, str], {0: "a", "b": "c"}),
    ({False: 3}, dict[Any, int], {False: 3}),
    (True, Literal[True, "a"], True),
    (1, Literal[1, 2], 1),
    (None, Literal["a", None], None),
    (0.5, Probability, 0.5),
    (3, Annotated[int, "somebody else's"], 3),
    ("a", Annotated[str, OneOf(("a", "b"))], "a"),
    (object, Any, object),
]


@pytest.mark.parametrize(("value", "hint", "meant"), FITTING, ids=str)
def test_what_fits_a_hint_is_the_value(value: Any, hint: Any, meant: Any) -> None:
    got = check_type(value, hint, "a.b")
    assert got == meant and repr(got) == repr(meant)


REFUSED: list[tuple[Any, Any, str]] = [
    (False, str, f"a.b=false: text is needed; {NO}"),
    (True, str | None, f"a.b=true: text or null is needed; {YES}"),
    (0, str, 'a.b=0: text is needed; quote it: "0"'),
    (1, str, 'a.b=1: text is needed; quote it: "1"'),
    (3.5, str, 'a.b=3.5: text is needed; quote it: "3.5"'),
    (None, str, 'a.b=null: text is needed; quote it: "null"'),
    (["a"], str, "a.b=[a]: text is needed"),
    ({"a": 1}, str, "a.b={a: 1}: text is needed"),
    (5, Annotated[str, FileName()], 'a.b=5: a name of letters, digits and _ . - is needed; quote it: "5"'),
    (-5, Annotated[str, FileName()], "a.b=-5: a name of letters, digits and _ . - is needed"),
    (True, int, "a.b=true: a whole number is needed"),
    (True, float, "a.b=true: a number is needed"),
    (float("inf"), float, "a.b=inf: a number is needed"),
    (1.0, int, "a.b=1.0: a whole number is needed"),
    ("1", int, "a.b=1: a whole number is needed"),
    (1, bool, "a.b=1: true or false is needed"),
    (0, None | Count, "a.b=0: null or a whole number from 1 up is needed"),
    (1, Annotated[float, AtLeast(0), Below(1)], "a.b=1: a number from 0 up, below 1, is needed"),
    (2, Annotated[int, AtMost(1), Because("why")], "a.b=2: a whole number, at most 1, (why) is needed"),
    (True, Literal[1, 2], "a.b=true: one of 1, 2 is needed"),
    (1, Literal[True, "a"], "a.b=1: one of true, a is needed"),
    (1.0, Literal[1], "a.b=1.0: one of 1 is needed"),
    (
        False,
        Literal["on", "off"],
        f"a.b=false: one of on, off is needed; {NO.replace(chr(34) + 'no', chr(34) + 'off')}",
    ),
    (False, Literal["some", "all"], "a.b=false: one of some, all is needed"),
    (2019, Literal["2019", "now"], 'a.b=2019: one of 2019, now is needed; quote it: "2019"'),
    ("c", Annotated[str, OneOf(("a", "b"))], "a.b=c: one of a, b is needed"),
    ("abc", list[str], "a.b=abc: a list, each text, is needed"),
    ("abc", Sequence[str], "a.b=abc: a list, each text, is needed"),
    ([], Annotated[list[str], NotEmpty()], "a.b=[]: a list, each text, not empty, is needed"),
    ({}, Annotated[dict[str, int], NotEmpty()], "a.b={}: a mapping, not empty, is needed"),
    (["a", False], list[str], f"a.b[1]=false: text is needed; {NO}"),
    (["a", 1], tuple[str, ...] | None, 'a.b[1]=1: text is needed; quote it: "1"'),
    ([[1], ["x"]], list[list[int]], "a.b[1][0]=x: a whole number is needed"),
    ([1], tuple[int, str], "a.b=[1]: a list of 2: a whole number, text, is needed"),
    ([1, 2], tuple[int, str], 'a.b[1]=2: text is needed; quote it: "2"'),
    (5, dict[str, int], "a.b=5: a mapping is needed"),
    ([1], dict[str, int] | None, "a.b=[1]: a mapping or null is needed"),
    ({"x": 1}, list[int], "a.b={x: 1}: a list, each a whole number, is needed"),
    ({"x": "y"}, dict[str, int], "a.b.x=y: a whole number is needed"),
    ({"x": ["y", 0]}, dict[str, list[str]], 'a.b.x[1]=0: text is needed; quote it: "0"'),
    ({"x": {"y": False}}, dict[str, dict[str, str]], f"a.b.x.y=false: text is needed; {NO}"),
    ({"x": 1}, Mapping[str, str], 'a.b.x=1: text is needed; quote it: "1"'),
    ({False: 1}, dict[str, int], f"a.b: the key false: text is needed; {NO}"),
    ({True: 1}, dict[str, int] | None, f"a.b: the key true: text is needed; {YES}"),
    ({0: 1}, dict[str, int], 'a.b: the key 0: text is needed; quote it: "0"'),
    ({3.5: 1}, dict[str, int], 'a.b: the key 3.5: text is needed; quote it: "3.5"'),
    ({None: 1}, dict[str, int], 'a.b: the key null: text is needed; quote it: "null"'),
    ({"x": {1: 2}}, dict[str, dict[str, int]], 'a.b.x: the key 1: text is needed; quote it: "1"'),
    ({False: 1}, dict[int, int], "a.b: the key false: a whole number is needed"),
    (
        {"../up": 1},
        dict[Annotated[str, FileName()], int],
        "a.b: the key ../up: a name of letters, digits and",
    ),
    (3, Inner, "a.b=3: a mapping with rate, word is needed"),
    ([3], list[Inner], "a.b[0]=3: a mapping with rate, word is needed"),
]


@pytest.mark.parametrize(("value", "hint", "message"), REFUSED, ids=str)
def test_what_does_not_fit_is_said_of_the_innermost_key(value: Any, hint: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_type(value, hint, "a.b")
    assert str(caught.value).startswith(message) and (
        message.endswith(" and") or str(caught.value) == message
    )


def test_dataclasses_are_built_inside_lists_mappings_and_unions() -> None:
    node = {
        "parts": [{"rate": 0.5}],
        "named": {"a": [{"size": 1, "inner": {"rate": 0.5, "word": "y"}}], "b": []},
        "either": {"size": 2},
        "pair": [{"rate": 0.25}, 3],
    }
    assert build(node, "o", Outer) == Outer(
        parts=(Inner(0.5),),  # type: ignore[arg-type]
        named={"a": (Other(1, Inner(0.5, "y")),), "b": ()},  # type: ignore[dict-item]
        either=Other(2),
        pair=(Inner(0.25), 3),
    )


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"parts": [{"rate": 0.5}, {"rate": 2}]}, "o.parts[1].rate=2: a number above 0, below 1, is needed"),
        ({"parts": [{"rat": 2}]}, "o.parts[0].rat: no such key (did you mean 'rate'?); there are rate, word"),
        ({"parts": [3]}, "o.parts[0]=3: a mapping with rate, word is needed"),
        ({"parts": [{}]}, "o.parts[0].rate: a value is needed (write o.parts[0].rate=...)"),
        ({"named": {"a": [{"size": 0}]}}, "o.named.a[0].size=0: a whole number from 1 up is needed"),
        (
            {"named": {"a": [{"size": 1, "inner": {"rate": 0.5, "word": False}}]}},
            f"o.named.a[0].inner.word=false: text is needed; {NO}",
        ),
        ({"named": {False: []}}, f"o.named: the key false: text is needed; {NO}"),
        ({"either": {"size": 0}}, "o.either.size=0: a whole number from 1 up is needed"),
        ({"either": {"rate": 0}}, "o.either.rate=0: a number above 0, below 1, is needed"),
        ({"pair": [{"rate": 0}, 3]}, "o.pair[0].rate=0: a number above 0, below 1, is needed"),
        ({True: 1}, "o.true: no such key; there are value, parts, named, either, pair"),
    ],
)
def test_a_complaint_leads_into_lists_mappings_and_unions(node: dict[Any, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        build(node, "o", Outer)
    assert str(caught.value) == message


def test_a_class_stands_only_where_its_hint_allows_it() -> None:
    node = {"_target_": "t5grid.training.schedules.Constant"}
    assert type(build({"value": node}, "o", Outer).value).__name__ == "Constant"
    with pytest.raises(ValueError, match=r"^o\.parts\[0\]=Constant: a mapping with rate, word is needed$"):
        build({"parts": [node]}, "o", Outer)
    with pytest.raises(
        ValueError, match=r"^o\.value\.parts\[0\]\._target_=os\.system: not from t5grid, torch,"
    ):
        build({"value": {"parts": [{"_target_": "os.system"}]}}, "o", Outer)


def test_canonical_writes_floats_as_floats_and_leaves_lists_as_they_were_written() -> None:
    """Identities are made of it: a number in a list has always counted as it was written."""
    assert repr(canonical({"rate": 1}, Inner)) == repr({"rate": 1.0})
    node = {"value": 1, "named": {"a": [{"size": 1, "inner": {"rate": 1}}]}, "pair": [{"rate": 1}, 1]}
    assert repr(canonical(node, Outer)) == repr(node)
