"""Templates: what a record says, what a prompt says, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from t5grid.config.build import build
from t5grid.config.compose import data_folder
from t5grid.config.schema import load_cell
from t5grid.data.prompts import Template
from t5grid.refused import Refused
from t5grid.tasks.answer import Class, Text

FORMATS = data_folder("conf") / "strategy" / "templates" / "format"
RECORDS: dict[str, list[dict[str, str]]] = {
    "translation": [
        {"inputs": "translate English to French: The cat sleeps.", "targets": "Le chat dort."},
        {"inputs": "translate English to French: I am here.", "targets": "Je suis ici."},
    ],
    "arithmetic": [
        {"inputs": "calculate: 17 minus 14", "targets": "3"},
        {"inputs": "calculate: (2 * 4) * 6", "targets": "48"},
    ],
    "anli": [
        {"inputs": "premise: It rains. hypothesis: It is wet.", "targets": "entailment"},
        {"inputs": "premise: Tom sings. hypothesis: Tom is old.", "targets": "neutral"},
    ],
    "copa": [
        {
            "inputs": "copa choice1: the sun was rising. choice2: the grass was cut. "
            "premise: My body cast a shadow over the grass. question: cause",
            "targets": "choice1",
        },
        {
            "inputs": "copa choice1: he slept. choice2: he was tired. premise: He studied. question: effect",
            "targets": "choice2",
        },
    ],
    "squad": [
        {"inputs": "question: Who fell ? context: Max fell . Leo ran .", "targets": "Max", "title": "A_Race"},
        {"inputs": "question: Who ran ? context: Max fell . Leo ran .", "targets": "Leo", "title": "A_Race"},
    ],
    "race": [
        {"inputs": "article: Ann sold eggs. question: Sold what? A: Milk. B: Eggs. C: Tea. D: Hay.",
         "targets": "B"},
        {"inputs": "article: Ann sold eggs. question: Who? A: Ann. B: Bob. C: Eva. D: Jo.", "targets": "A"},
    ],
}  # fmt: skip
RECORDS["translation_equals"] = RECORDS["translation"]
RENDERED = {
    "translation": (
        "Q: What is the French translation of The cat sleeps. A: Le chat dort.\n\n"
        "Q: What is the French translation of I am here. A:",
        " Je suis ici.",
    ),
    "translation_equals": ("The cat sleeps. = Le chat dort.\nI am here. =", " Je suis ici."),
    "arithmetic": ("Q: What is 17 minus 14?\nA: 3\n\nQ: What is (2 * 4) * 6?\nA:", " 48"),
    "anli": (
        "It rains.\nQuestion: It is wet. True, False, or Neither? True\n\n"
        "Tom sings.\nQuestion: Tom is old. True, False, or Neither?",
        " Neither",
    ),
    "copa": (
        "My body cast a shadow over the grass because the sun was rising.\n\nHe studied therefore",
        " he was tired.",
    ),
    "squad": (
        "Title: A_Race\n\nBackground: Max fell . Leo ran .\n\nQ: Who fell ?\n\nA: Max\n\nQ: Who ran ?\n\nA:",
        " Leo",
    ),
    "race": (
        "Article:\nAnn sold eggs.\n\nQ: Sold what?\n\nA: Eggs.\n\nQ: Who?\n\nA:",
        " Ann.",
    ),
}


def template(**keys: Any) -> Template:
    return build(keys, "strategy.templates.toy", Template)


def rendered(given: Template, records: list[dict[str, str]]) -> tuple[str, str]:
    """The prompt of the last record after the others, and what goes on with it."""
    *solved, asked = records
    examples = [
        given.solved(fields, given.answer(row, fields)) for row in solved for fields in [given.fields(row)]
    ]
    fields = given.fields(asked)
    prompt = given.prompt(fields, examples)
    return prompt, given.gone_on(prompt, fields, given.answer(asked, fields)).removeprefix(prompt)


@pytest.mark.parametrize("name", sorted(path.stem for path in FORMATS.glob("*.yaml")))
def test_each_format_of_gpt3_is_written_as_it_was(name: str) -> None:
    node = OmegaConf.to_container(OmegaConf.load(FORMATS / f"{name}.yaml"))
    assert rendered(build(node, "strategy.templates.toy", Template), RECORDS[name]) == RENDERED[name]


def test_each_template_of_a_suite_is_written_as_the_golden_says(goldens: Path) -> None:
    """Records and prompts of every task that has a template, the question's answer after an arrow."""
    given = load_cell(["strategy=prompted"]).strategy.templates
    kept = json.loads((goldens / "prompts.json").read_text())
    assert kept.keys() == given.keys()
    for name, case in kept.items():
        prompt, answer = rendered(given[name], case["records"])
        assert (name, f"{prompt} ->{answer}") == (name, case["prompt"])


def test_fields_are_read_from_inputs_and_from_other_values_that_are_taken() -> None:
    given = template(inputs="q: {q} context: {text}", takes=["title"], words={"q": {"who": "which man"}})
    record = {"inputs": "q: who context: a context: b", "targets": "x", "title": "T"}
    assert given.fields(record) == {
        "q": "which man", "text": "a context: b", "title": "T", "inputs": record["inputs"],
    }  # fmt: skip
    with pytest.raises(
        Refused, match=r"^inputs='q: \{q\} context: \{text\}': a record's inputs do not look so"
    ):
        given.fields({**record, "inputs": "who?"})
    with pytest.raises(Refused, match=r"^takes: records have no 'title'"):
        given.fields({"inputs": record["inputs"], "targets": "x"})


def test_without_a_template_inputs_and_targets_stand_one_after_another() -> None:
    records = [{"inputs": "a b", "targets": "c"}, {"inputs": "d {e}", "targets": "f"}]
    assert rendered(Template(), records) == ("a b c d {e}", " f")


def test_what_every_target_has_around_it_is_not_asked_for_and_given_back() -> None:
    given = template(
        targets="{answer}.", question="{inputs} is", example='{inputs} is "{answer}".', stops=['"']
    )
    fields = given.fields({"inputs": "a", "targets": "b."})
    assert given.answer({"inputs": "a", "targets": "b."}, fields) == "b"
    assert given.prompt(fields, []) == 'a is "'
    assert given.cut(' go on". In') == "go on"
    assert given.target("go on", fields) == "go on."


def test_a_written_answer_ends_at_the_first_stop_of_several() -> None:
    assert template(stops=["\n", " Q:"]).cut(" x Q: y\nz ") == "x"
    assert template(stops=["Q"]).cut("") == ""
    assert Template().cut(" all of it ") == "all of it"


def test_an_answer_of_a_closed_set_is_told_from_others() -> None:
    given = template(answers={"yes": "so it is", "no": "not {inputs}"}, scoring="generated")
    fields = given.fields({"inputs": "a", "targets": "no"})
    assert [given.target(text, fields) for text in ("so it is", "not a", "not b")] == ["yes", "no", "not b"]
    with pytest.raises(Refused, match=r"^answers: a record's target is 'maybe'; there are yes, no$"):
        given.answer({"inputs": "a", "targets": "maybe"}, fields)


class Labelled:
    answer = Class(("bad", "good"))


class Free:
    answer = Text()


def test_classes_and_answers_are_chosen_from_and_texts_written() -> None:
    assert Template().closed(Labelled()) and not Template().closed(Free())
    assert template(answers={"a": "b"}).closed(Free())
    assert not template(scoring="generated").closed(Labelled())
    assert Template().choices(Labelled(), {}) == {"bad": "bad", "good": "good"}
    assert (Template().num_choices(Labelled()), Template().num_choices(Free())) == (2, 1)
    with pytest.raises(
        Refused, match=r"^scoring=likelihood: answers has to say what there is to choose from"
    ):
        template(scoring="likelihood").choices(Free(), {})
    with pytest.raises(Refused, match=r"^answers: two of 'x', 'x' are alike$"):
        template(answers={"a": "{inputs}", "b": "x"}).choices(Free(), {"inputs": "x"})


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"prefix": "{titel}", "takes": ["title"]}, "prefix: no field 'titel' (did you mean 'title'?)"),
        ({"question": "{q}", "example": "{q} {answer}"}, "question: no field 'q'; there are inputs"),
        ({"answers": {"a": "{b}"}}, "answers.a: no field 'b'; there are inputs"),
        ({"words": {"q": {"a": "b"}}}, "words: no field 'q'; there are inputs"),
        ({"shares": "context"}, "shares: no field 'context'; there are inputs"),
        ({"example": "{inputs}"}, "example='{inputs}': {answer} stands in it once"),
        ({"example": "{inputs} {answer} {answer}"}, "example='{inputs} {answer} {answer}': {answer}"),
        ({"example": "A: {answer}"}, "example='A: {answer}': it begins with the question, '{inputs}'"),
        ({"question": "{inputs} {"}, "question='{inputs} {': a brace without its other half"),
        ({"inputs": "{a} {a}"}, "inputs='{a} {a}': 'a' is no name of a field, or that of two"),
        ({"inputs": "{answer}"}, "inputs='{answer}': {answer} is what is missing"),
        ({"targets": "{x}"}, "targets: no field 'x'; there are answer"),
        ({"stops": [""]}, "stops: an empty text ends every answer"),
        ({"scoring": "unconditional", "unconditional": " "}, "unconditional: a text is needed"),
        ({"scoring": "best"}, "scoring=best: one of generated, likelihood, per_token, unconditional or null"),
        ({"answers": {}}, "answers={}: a mapping, not empty, or null is needed"),
    ],
)  # fmt: skip
def test_what_makes_no_template_is_refused_by_its_key(keys: dict[str, Any], line: str) -> None:
    with pytest.raises(Refused) as refused:
        template(**keys)
    assert str(refused.value).startswith(f"strategy.templates.toy.{line}")
