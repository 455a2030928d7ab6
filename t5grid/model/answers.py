"""kind of answer -> its output layer's measures; which columns a model can answer."""

from collections.abc import Mapping
from typing import Any, Literal

from t5grid.tasks.answer import Answer, Class, Number, Span, Tags, Text, answer_of

OUTPUT = "answering.layers."
"""What the names of output layers begin with."""
STATES = "states"
"""What is written where a task model could read: its product has the shape [states, places, width]."""

Choice = Literal["embeddings", "second_to_last", "last", "sum_last_four", "concat_last_four", "weighted_sum"]
"""Which of an encoder's states are features, as in BERT's Table 7."""
POOLED = 3
"""What concatenated pooling puts beside each other: the state of a place, the largest, the mean."""
LAST = 4
LongRows = Literal["refused", "cut"]
"""What becomes of a task's row that is longer than its column's room: cut as by BERT's authors, if asked."""
TaskWords = Literal["read", "left_out"]
"""What becomes of the words that name a task and its texts, as T5 needs them; BERT's authors had none."""


def num_concatenated(choice: Choice, num_layers: int) -> int:
    """How many states stand beside each other in the features."""
    return min(LAST, num_layers) if choice == "concat_last_four" else 1


RECURRENCE = "recurrence."
"""What the names of parameters begin with that a model reads in segments by."""
SUMMARY = "summary."
"""What the names begin with of a layer between states and output layers that is new in fine-tuning."""


def is_output(name: str) -> bool:
    """Whether a parameter is new in fine-tuning, whatever a method trains: an output layer's or memory."""
    return name.startswith((OUTPUT, RECURRENCE, SUMMARY))


def layer_name(task: str) -> str:
    """The name of a task's layer: a module's, without dots."""
    return task.replace(".", "_")


def is_of_row(answer: Answer) -> bool:
    """Whether a kind of answer is one for the whole row, and not in its places."""
    return isinstance(answer, Class | Number)


def width_of(answer: Answer) -> int:
    """Outputs of the layer for a kind of answer."""
    if isinstance(answer, Class):
        return len(answer.labels)
    if isinstance(answer, Tags):
        return 1 + len(answer.labels)
    return 2 if isinstance(answer, Span) else 1


def as_tuned(architecture: Any, tasks: Mapping[str, Any]) -> Any:
    """An architecture as it is fine-tuned on a column: with output layers, where it answers by them."""
    answering = getattr(architecture, "answering", None)
    return answering({name: answer_of(task) for name, task in tasks.items()}) if answering else architecture


def decoded(architecture: Any, tasks: Mapping[str, Any]) -> dict[str, Any]:
    """The tasks that an architecture answers in ids: all, or of one with output layers texts and spans."""
    layered = hasattr(architecture, "answering")
    return {
        name: task for name, task in tasks.items() if not layered or isinstance(answer_of(task), Text | Span)
    }


def no_answer(architecture: Any, tasks: Mapping[str, Any]) -> str | None:
    """Why an architecture cannot answer a column, in a few words; None where it can."""
    if not hasattr(architecture, "answering"):
        return None
    needs_text = any(isinstance(answer_of(task), Text) for task in tasks.values())
    return architecture.writes_no_text if needs_text else None
