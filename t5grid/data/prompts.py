"""record + template -> the words of a prompt: examples solved, a question not.

    inputs: "translate English to {language}: {sentence}"   # how its inputs look, and their fields
    question: "Q: What is the {language} translation of {sentence} A:"
    example: "Q: What is the {language} translation of {sentence} A: {answer}"
    separator: "\\n\\n"

A template knows a task by its records alone, as an architecture does: what stands in braces are parts of the
record's inputs. `{{` is a brace. Formats of GPT-3 (Brown et al., 2020, Appendix G) are in
`conf/strategy/format`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from t5grid.config.build import nearest
from t5grid.config.rules import NotEmpty
from t5grid.refused import Refused
from t5grid.tasks.answer import Class, answer_of
from t5grid.tasks.own import FIELD, columns_of, fill
from t5grid.tasks.task import Record

Scoring = Literal["generated", "likelihood", "per_token", "unconditional"]
Fields = dict[str, str]
ANSWER, INPUTS = "answer", "inputs"
MARK = "\0"
"""What stands for an answer while its surroundings are filled in: no text has it."""


@dataclass(frozen=True)
class Template:
    """How records of a task are asked, by a text that a model goes on with.

    Args:
        question: what is asked, up to where the answer is missing.
        example: a solved one: the question, then `{answer}`, and perhaps what follows it.
        prefix: what stands before all examples, with fields of the question.
        separator: what stands between two examples, and before the question.
        inputs: what the task's inputs look like, with a name for each field. `{inputs}` is all of them.
        targets: what the task's targets look like: what is around `{answer}` is not asked for.
        takes: further values of records that are fields, such as `title`.
        words: how a field's values are said, as `{question: {cause: because}}`; others stay.
        answers: how each target is said, with fields: a closed set, out of which the model chooses.
        stops: texts that end an answer which is written.
        scoring: how a closed set is chosen from: by the `likelihood` of each answer, that `per_token`, or
            that over its `unconditional` one; `generated` writes the answer. None is likelihood for classes
            and for `answers`, else generated.
        unconditional: what an answer follows without its question, where it is scored so.
        shares: a field that examples have in common with the question. They are then earlier records of the
            split that is scored, as the questions on one passage are.

    Raises:
        Refused: an unknown field, an example that does not begin with the question, answers that are one.
    """

    question: str = "{inputs}"
    example: str = "{inputs} {answer}"
    prefix: str = ""
    separator: str = " "
    inputs: str = "{inputs}"
    targets: str = "{answer}"
    takes: list[str] | None = None
    words: dict[str, dict[str, str]] | None = None
    answers: Annotated[dict[str, str], NotEmpty()] | None = None
    stops: list[str] | None = None
    scoring: Scoring | None = None
    unconditional: str = "Answer:"
    shares: str | None = None

    axis: ClassVar[str] = "strategy"

    def __post_init__(self) -> None:
        known = {*columns_of(self.inputs, "inputs"), INPUTS, *(self.takes or ())}
        if ANSWER in known:
            raise Refused(
                f"inputs={self.inputs!r}: {{{ANSWER}}} is what is missing; give that field another name"
            )
        for key in ("question", "prefix"):
            _check_fields(getattr(self, key), key, known)
        for target, text in (self.answers or {}).items():
            _check_fields(text, f"answers.{target}", known)
        for key, names in (("words", self.words or ()), ("shares", filter(None, [self.shares]))):
            for name in names:
                _check_fields(f"{{{name}}}", key, known)
        self._check_answer(known)
        _ = self._inputs, self._targets
        if self.scoring == "unconditional" and not self.unconditional.strip():
            raise Refused("unconditional: a text is needed that answers follow, such as 'Answer:'")
        if any(not stop for stop in self.stops or ()):
            raise Refused("stops: an empty text ends every answer")

    def _check_answer(self, known: set[str]) -> None:
        """The example goes on where the question ends; `{answer}` stands once in it, and in the targets."""
        if not self.example.startswith(self.question):
            raise Refused(
                f"example={self.example!r}: it begins with the question, {self.question!r}, and goes on "
                "with {answer}"
            )
        after = self.example[len(self.question) :]
        for key, text in (("example", after), ("targets", self.targets)):
            _check_fields(text, key, {*known, ANSWER} if key == "example" else {ANSWER})
            if columns_of(text, key).count(ANSWER) != 1:
                raise Refused(f"{key}={getattr(self, key)!r}: {{answer}} stands in it once")

    # --- what a record says ---------------------------------------------------------------------

    def fields(self, record: Record) -> dict[str, str]:
        """The fields of a record. Raises Refused where its inputs do not look as `inputs` says."""
        match = self._inputs.fullmatch(record["inputs"])
        if match is None:
            raise Refused(f"inputs={self.inputs!r}: a record's inputs do not look so: {record['inputs']!r}")
        if lacking := [name for name in self.takes or () if name not in record]:
            raise Refused(f"takes: records have no {lacking[0]!r}{nearest(lacking[0], record)}")
        fields = {name: str(record[name]) for name in self.takes or ()} | match.groupdict()
        for name, words in (self.words or {}).items():
            fields[name] = words.get(fields[name], fields[name])
        return fields | {INPUTS: record["inputs"]}

    def answer(self, record: Record, fields: Fields) -> str:
        """The answer of a record in the words of the prompt. Raises Refused for a target that has none."""
        target = record["targets"]
        if self.answers is None:
            return self._inside(target)
        if target not in self.answers:
            raise Refused(f"answers: a record's target is {target!r}{nearest(target, self.answers)}")
        return fill(self.answers[target], fields)

    def target(self, answer: str, fields: Fields) -> str:
        """The target that a written answer stands for; itself where it is none of a closed set."""
        if self.answers is None:
            return fill(self.targets, {ANSWER: answer})
        return {fill(text, fields): target for target, text in self.answers.items()}.get(answer, answer)

    def choices(self, task: Any, fields: Fields) -> dict[str, str]:
        """Target -> words of each answer there can be. Raises Refused for two that are alike, or none."""
        if self.answers is not None:
            said = {target: fill(text, fields) for target, text in self.answers.items()}
        else:
            answer = answer_of(task)
            said = {label: self._inside(label) for label in getattr(answer, "labels", ())}
        if not said:
            raise Refused(f"scoring={self.scoring}: answers has to say what there is to choose from")
        if len(set(said.values())) < len(said):
            raise Refused(f"answers: two of {', '.join(map(repr, said.values()))} are alike")
        return said

    def num_choices(self, task: Any) -> int:
        """How many answers there are to choose from; 1 where it is written."""
        labels: tuple[str, ...] = getattr(answer_of(task), "labels", ())
        return len(self.answers or labels) if self.closed(task) else 1

    def closed(self, task: Any) -> bool:
        """Whether an answer is chosen out of a set, and not written."""
        if self.scoring is not None:
            return self.scoring != "generated"
        return self.answers is not None or isinstance(answer_of(task), Class)

    # --- the words of a prompt ------------------------------------------------------------------

    def solved(self, fields: Fields, answer: str) -> str:
        """A question with its answer."""
        return fill(self.example, {**fields, ANSWER: answer})

    def prompt(self, fields: Fields, examples: Sequence[str]) -> str:
        """Everything up to the answer, which is missing, without a blank at the end."""
        before = "".join(f"{text}{self.separator}" for text in examples)
        return (fill(self.prefix, fields) + before + self._asked(fields)).rstrip(" ")

    def gone_on(self, prompt: str, fields: Fields, answer: str) -> str:
        """A prompt with an answer, as an example has it; without what follows it there."""
        asked = self._asked(fields)
        return f"{prompt}{asked[len(asked.rstrip(' ')) :]}{answer}"

    def cut(self, answer: str) -> str:
        """What was written up to the first text that ends it, without blanks around it."""
        ends = [at for at in (answer.find(stop) for stop in self.stops or ()) if at >= 0]
        return answer[: min(ends, default=len(answer))].strip()

    def _asked(self, fields: Fields) -> str:
        """A question and what stands in an example before its answer."""
        return self.solved(fields, MARK).partition(MARK)[0]

    def _inside(self, target: str) -> str:
        """What a target says, without what is around it in every one."""
        match = self._targets.fullmatch(target)
        return match[ANSWER] if match else target

    @cached_property
    def _inputs(self) -> re.Pattern[str]:
        return _pattern(self.inputs, "inputs")

    @cached_property
    def _targets(self) -> re.Pattern[str]:
        return _pattern(self.targets, "targets")


def _check_fields(template: str, key: str, known: set[str]) -> None:
    """Raise Refused for a field that there is not."""
    for name in columns_of(template, key):
        if name not in known:
            raise Refused(f"{key}: no field {name!r}{nearest(name, sorted(known))}")


def _pattern(template: str, key: str) -> re.Pattern[str]:
    """What reads the fields of a text that looks like the template; the last takes what is left.

    "premise: {a} choice: {b}" reads `premise: x y choice: z` as a = `x y`, b = `z`.
    """
    parts, cursor = [], 0
    for name in (names := columns_of(template, key)):
        if not name.isidentifier() or names.count(name) > 1:
            raise Refused(f"{key}={template!r}: {name!r} is no name of a field, or that of two")
    for match in FIELD.finditer(template):
        parts.append(re.escape(template[cursor : match.start()]))
        parts.append(f"(?P<{match[1]}>.*?)" if match[1] else re.escape(match[0][0]))
        cursor = match.end()
    return re.compile("".join([*parts, re.escape(template[cursor:])]), re.DOTALL)
