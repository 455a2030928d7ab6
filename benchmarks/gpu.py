"""What a GPU makes of training and decoding: every figure in one run of a few minutes, printed and as JSON.

    python benchmarks/gpu.py --minutes 8 [--output gpu.json] [--peak TFLOPS] [--device cpu --tiny]

Needs the package and torch with CUDA; Hugging Face's T5 is compared where transformers is installed. A step
is forward, loss, backward and Adafactor in bf16 over rows of 512 inputs and 114 targets. Operations are those
of t5grid.model.costs; MFU is their share of the card's dense bf16 peak. A measurement that fails is recorded
with its error, one for which no time is left by name; the others go on. `--tiny` tries all on small shapes.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from t5grid.config.build import build
from t5grid.config.compose import compose
from t5grid.data.batching import EncoderDecoderBatching
from t5grid.data.special_ids import EOS
from t5grid.files import write_whole
from t5grid.model import costs
from t5grid.model.architectures import EncoderDecoder
from t5grid.model.decoding import greedy
from t5grid.model.layers import RelativePositionBias
from t5grid.model.loss import loss
from t5grid.model.size import Size
from t5grid.training.schedules import AdafactorSpec

PEAKS = {"A100": 312, "H100": 989, "H200": 989, "L40S": 362, "A10": 125, "4090": 165}
"""Dense bf16 TFLOP/s by a word of the card's name."""
MOST_ROWS = 4096
Figures = dict[str, float]


@dataclass(frozen=True)
class Setting:
    """Shapes of everything that is measured, and where."""

    device: str = "cuda"
    peak: float | None = None
    rows: int = 128
    inputs: int = 512
    targets: int = 114
    vocab_size: int = 32128
    most_rows: int = MOST_ROWS
    steps: int = 10
    answer_rows: int = 32
    answer_length: int = 64
    tiny: bool = False

    def size(self, name: str) -> Size:
        """The measures of an option of `size`; the smallest there can be for a trial."""
        if self.tiny:
            return Size(d_model=32, d_ff=64, d_kv=16, num_heads=2, num_layers=1)
        return option("size", name)


TINY = Setting("cpu", 1.0, 2, 32, 16, 128, most_rows=4, steps=1, answer_rows=2, answer_length=4, tiny=True)


@dataclass(frozen=True)
class Measurement:
    """A named measurement, and the seconds it may take at most, compilation included."""

    name: str
    seconds: float
    run: Callable[[Setting], Figures]


def option(group: str, name: str) -> Any:
    """The value of a group's option."""
    return build(OmegaConf.to_container(compose([f"{group}={name}"])[group], resolve=True), group)


# --- clocks and memory ----------------------------------------------------------------------------


def synchronise(setting: Setting) -> None:
    if setting.device == "cuda":
        torch.cuda.synchronize()


def free(setting: Setting) -> None:
    """Forget what was compiled and kept."""
    torch.compiler.reset()
    gc.collect()
    if setting.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def seconds(run: Callable[[], Any], setting: Setting) -> float:
    """Mean seconds of a call, after two that are not counted."""
    for _ in range(2):
        run()
    synchronise(setting)
    started = time.perf_counter()
    for _ in range(setting.steps):
        run()
    synchronise(setting)
    return (time.perf_counter() - started) / setting.steps


def half(setting: Setting) -> torch.autocast:
    return torch.autocast(setting.device, torch.bfloat16)


# --- training steps -------------------------------------------------------------------------------


def batch(setting: Setting, rows: int) -> dict[str, torch.Tensor]:
    """Full rows of random ids as pre-training has them, each one segment."""
    device, ends = setting.device, (setting.inputs, setting.targets)
    inputs, targets = (
        torch.randint(2, setting.vocab_size - 100, (rows, width), device=device) for width in ends
    )
    shifted = torch.nn.functional.pad(targets, (1, 0))[:, :-1]
    segments = {"inputs_segments": torch.ones_like(inputs), "targets_segments": torch.ones_like(targets)}
    return {"inputs": inputs, "targets": targets, "decoder_inputs": shifted, **segments}


def stepping(model: Any, value: Callable[[], torch.Tensor], setting: Setting) -> Callable[[], None]:
    """One training step of a model, whose loss `value` computes."""
    optimizer = AdafactorSpec().build(model.parameters(), lr=1e-3)

    def step() -> None:
        with half(setting):
            total = value()
        total.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def our_step(size: Size, rows: int, compiled: bool, setting: Setting) -> float:
    """Seconds of a step of ours."""
    model = EncoderDecoder().build(size, setting.vocab_size).to(setting.device).train()
    of_batch = torch.compile(model.loss, dynamic=False) if compiled else model.loss
    return seconds(stepping(model, partial(of_batch, batch(setting, rows)), setting), setting)


def their_model(size: Size, setting: Setting) -> Any:
    """Hugging Face's T5 of the same measures, with fused attention."""
    from transformers import T5Config, T5ForConditionalGeneration

    keys = ("d_model", "d_ff", "d_kv", "num_heads", "num_layers")
    config = T5Config(
        vocab_size=setting.vocab_size, decoder_start_token_id=0, **{key: getattr(size, key) for key in keys}
    )
    config._attn_implementation = "sdpa"
    return T5ForConditionalGeneration(config).to(setting.device)


def their_step(size: Size, rows: int, compiled: bool, setting: Setting) -> float:
    """Seconds of a step of theirs: the same ids, optimizer and precision."""
    model = their_model(size, setting).train()
    ids = batch(setting, rows)
    forward = torch.compile(model, dynamic=False) if compiled else model
    value = lambda: forward(input_ids=ids["inputs"], labels=ids["targets"]).loss  # noqa: E731
    return seconds(stepping(model, value, setting), setting)


def figures(size: Size, rows: int, spent: float, setting: Setting) -> Figures:
    """What a step of so many seconds comes to."""
    products = EncoderDecoder().products(size, setting.vocab_size, rows, setting.inputs, setting.targets)
    rate = costs.step(products).total / spent / 1e12
    found = {
        "rows": rows,
        "seconds": spent,
        "tokens_per_second": rows * (setting.inputs + setting.targets) / spent,
        "tflops": rate,
    }
    if setting.peak:
        found["mfu"] = rate / setting.peak
    if setting.device == "cuda":
        found["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return found


Step = Callable[[Size, int, bool, Setting], float]


def fitting(step: Callable[[int], float], rows: int, setting: Setting) -> tuple[int, float]:
    """Rows, halved until a step fits the memory, and its seconds. Raises where not one row fits."""
    while True:
        try:
            return rows, step(rows)
        except torch.OutOfMemoryError:
            if rows == 1:
                raise
        free(setting)  # outside of the handler, which keeps what the failed step had
        rows //= 2


def at_rows(step: Step, size: str, rows: int | None, compiled: bool, setting: Setting) -> Figures:
    """A step of a size at `rows` (None: the setting's), or the half of it that fits."""
    measures = setting.size(size)
    run = lambda number: step(measures, number, compiled, setting)  # noqa: E731
    number, spent = fitting(run, min(rows or setting.rows, setting.rows), setting)
    return figures(measures, number, spent, setting)


def at_most_rows(step: Step, size: str, compiled: bool, setting: Setting) -> Figures:
    """A step at the largest batch that fits, by doubling."""
    measures = setting.size(size)
    run = lambda number: step(measures, number, compiled, setting)  # noqa: E731
    rows, spent = fitting(run, setting.rows, setting)
    best = figures(measures, rows, spent, setting)
    while 2 * best["rows"] <= setting.most_rows:
        free(setting)
        more, spent = fitting(run, 2 * rows, setting)
        if more == rows:  # twice as many did not fit
            break
        rows, best = more, figures(measures, more, spent, setting)
    return best


# --- attention, loss, methods, decoding, data -----------------------------------------------------


def attentions(setting: Setting) -> dict[str, Callable[..., torch.Tensor]]:
    """Attention with a position bias: fused with the bias added, and FlexAttention that looks it up."""
    from torch.nn.attention.flex_attention import flex_attention

    size = setting.size("base")
    bias = RelativePositionBias(size.num_heads, bidirectional=True).to(setting.device)
    length = setting.inputs
    place = torch.arange(length, device=setting.device)
    bucket = bias.bucket_of_distance[1][(place - place[:, None]).clamp(-128, 128) + 128]
    flex = torch.compile(flex_attention, dynamic=False)

    def with_bias(q: Any, k: Any, v: Any) -> torch.Tensor:
        return scaled_dot_product_attention(q, k, v, bias(length, length).to(q.dtype), scale=1.0)

    def with_score_mod(q: Any, k: Any, v: Any) -> torch.Tensor:
        table = bias.table
        return flex(q, k, v, lambda s, b, h, i, j: s + table[h, bucket[i, j]], scale=1.0)

    def with_table(q: Any, k: Any, v: Any) -> torch.Tensor:
        table = bias(length, length)[0]
        return flex(q, k, v, lambda s, b, h, i, j: s + table[h, i, j], scale=1.0)

    return {"sdpa_bias": with_bias, "flex_score_mod": with_score_mod, "flex_table": with_table}


def attention(name: str, setting: Setting) -> Figures:
    """Seconds of one layer's attention; backward too but on a CPU, where FlexAttention has none."""
    size, learns = setting.size("base"), setting.device == "cuda"
    shape = (setting.rows, size.num_heads, setting.inputs, size.d_kv)
    dtype = torch.bfloat16 if learns else torch.float32
    given = [torch.randn(shape, device=setting.device, dtype=dtype, requires_grad=learns) for _ in range(3)]
    run = attentions(setting)[name]

    def once() -> None:
        with torch.set_grad_enabled(learns):
            out = run(*given)
        if learns:
            out.sum().backward()

    return {"seconds": seconds(once, setting)}


def softmax_loss(num_chunks: int, setting: Setting) -> Figures:
    """Seconds and memory of softmax, loss and their backward pass, rows taken in so many chunks."""
    width, device = setting.size("base").d_model, setting.device
    ids = batch(setting, setting.rows)["targets"]
    hidden = torch.randn(*ids.shape, width, device=device, requires_grad=True)
    table = torch.randn(setting.vocab_size, width, device=device, requires_grad=True)
    part = torch.compile(lambda x, y: loss(x @ table.T, y), dynamic=False)

    def once() -> None:
        with half(setting):
            pairs = zip(hidden.chunk(num_chunks), ids.chunk(num_chunks), strict=True)
            total = sum(checkpoint(part, *pair, use_reentrant=False) for pair in pairs)
        total.backward()  # type: ignore[union-attr]

    found = {"seconds": seconds(once, setting)}
    if device == "cuda":
        found["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return found


def method(name: str, setting: Setting) -> Figures:
    """Steps a second of a fine-tuning method, compiled."""
    model, chosen = EncoderDecoder().build(setting.size("base"), setting.vocab_size), option("finetune", name)
    chosen.prepare(model)
    names = [key for key, _ in model.named_parameters()]
    trained = chosen.episodes(names, 1)[0]
    for key, parameter in model.named_parameters():
        parameter.requires_grad_(key in trained)
    model = model.to(setting.device).train()
    value = partial(torch.compile(model.loss, dynamic=False), batch(setting, setting.rows))
    return {"steps_per_second": 1 / seconds(stepping(model, value, setting), setting)}


def our_answers(setting: Setting) -> Figures:
    """Seconds of greedy answers, none of which may end early."""
    model = EncoderDecoder().build(setting.size("base"), setting.vocab_size).to(setting.device).eval()
    with torch.no_grad():
        model.embedding.weight[EOS] = 0.0
    ids = {"inputs": batch(setting, setting.answer_rows)["inputs"]}

    def answer() -> None:
        with half(setting):
            greedy(model, ids, setting.answer_length)

    return {"seconds": seconds(answer, setting)}


def their_answers(setting: Setting) -> Figures:
    """Seconds of theirs, forced to the same length."""
    model, number = their_model(setting.size("base"), setting).eval(), setting.answer_length
    ids = batch(setting, setting.answer_rows)["inputs"]

    def answer() -> None:
        with half(setting):
            model.generate(ids, max_new_tokens=number, min_new_tokens=number, do_sample=False, num_beams=1)

    return {"seconds": seconds(answer, setting)}


def pipeline(setting: Setting) -> Figures:
    """Tokens a second of one process that corrupts spans and packs rows."""
    objective, noise = option("objective", "random_spans"), np.random.default_rng(0)
    raw, targets = objective.lengths(setting.inputs)
    ids = noise.integers(2, setting.vocab_size - 100, (setting.rows, raw)).astype(np.int32)

    def once() -> None:
        pair = objective(ids, noise, setting.vocab_size)
        EncoderDecoderBatching()(*pair, setting.inputs, targets)

    spent = seconds(once, replace(setting, device="cpu"))
    return {"tokens_per_second": setting.rows * (setting.inputs + targets) / spent}


# --- the list, and going through it ---------------------------------------------------------------


def measurements() -> Iterator[Measurement]:
    """All, what matters most first."""
    yield Measurement("base, compiled", 90, partial(at_rows, our_step, "base", None, True))
    yield Measurement("base, eager", 30, partial(at_rows, our_step, "base", None, False))
    yield Measurement("pipeline", 10, pipeline)
    if find_spec("transformers"):
        yield Measurement("base, theirs compiled", 90, partial(at_rows, their_step, "base", None, True))
        yield Measurement("base, theirs eager", 30, partial(at_rows, their_step, "base", None, False))
    yield Measurement("answers", 30, our_answers)
    if find_spec("transformers"):
        yield Measurement("answers, theirs", 30, their_answers)
    for name in ("sdpa_bias", "flex_score_mod", "flex_table"):
        yield Measurement(f"attention, {name}", 25, partial(attention, name))
    yield Measurement("loss, whole", 20, partial(softmax_loss, 1))
    yield Measurement("loss, chunks", 20, partial(softmax_loss, 8))
    yield Measurement("base, compiled, most rows", 120, partial(at_most_rows, our_step, "base", True))
    yield Measurement("base, eager, most rows", 40, partial(at_most_rows, our_step, "base", False))
    yield Measurement("small, compiled", 60, partial(at_rows, our_step, "small", None, True))
    yield Measurement("large, compiled", 150, partial(at_rows, our_step, "large", 32, True))
    for name in ("adapters", "frozen"):
        yield Measurement(f"finetune={name}", 80, partial(method, name))


def measured(measurement: Measurement, setting: Setting) -> dict[str, Any]:
    """A measurement's figures, or its error in a line."""
    torch.manual_seed(0)
    try:
        return measurement.run(setting)
    except Exception as error:
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())[:500]}
    finally:
        free(setting)


def go_through(
    wanted: list[Measurement], setting: Setting, minutes: float, output: Path, clock: Callable[[], float]
) -> dict[str, Any]:
    """Measure what fits the time, each printed and kept as soon as it is there."""
    until, results = clock() + 60 * minutes, dict[str, Any]()
    report = {"machine": machine(setting), "results": results, "skipped": list[str]()}
    for measurement in wanted:
        if clock() + measurement.seconds > until:
            report["skipped"].append(measurement.name)
            continue
        results[measurement.name] = measured(measurement, setting)
        print(f"{measurement.name}: {shown(results[measurement.name])}", flush=True)
        write_whole(output, json.dumps(report, indent=1) + "\n")
    write_whole(output, json.dumps(report, indent=1) + "\n")
    print(f"skipped for want of time: {', '.join(report['skipped']) or 'nothing'}", flush=True)
    return report


def shown(found: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in found.items()
    )


def machine(setting: Setting) -> dict[str, Any]:
    card = torch.cuda.get_device_name() if setting.device == "cuda" else "cpu"
    return {"card": card, "torch": torch.__version__, "peak_tflops": setting.peak}


def peak_of(card: str) -> float | None:
    """The peak of a card by its name, the longest word of the table first; None where it is not there."""
    words = sorted(PEAKS, key=len, reverse=True)
    return next((float(PEAKS[word]) for word in words if word in card), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--output", type=Path, default=Path("gpu.json"))
    parser.add_argument("--peak", type=float, help="dense bf16 TFLOP/s of the card")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small shapes, to try every path")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device; --device cpu --tiny tries every path without one")
    torch.set_float32_matmul_precision("high")
    setting = replace(TINY if arguments.tiny else Setting(), device=arguments.device)
    peak = arguments.peak or (peak_of(torch.cuda.get_device_name()) if arguments.device == "cuda" else None)
    setting = replace(setting, peak=peak)
    go_through(list(measurements()), setting, arguments.minutes, arguments.output, time.monotonic)


if __name__ == "__main__":
    main()
