import pytest
import torch

from t5grid.config.schema import load_cell
from t5grid.model.encoder_blocks import DEVIATION, sinusoids
from t5grid.model.neighbours import fastest, turned
from t5grid.model.xlnet_blocks import distances
from t5grid.model.xlnet_model import content_sight

LENGTH = 40


def fresh(*words: str) -> torch.nn.Module:
    cell = load_cell([*words, "size.dropout=0", "size.num_layers=1"])
    torch.manual_seed(0)
    return cell.architecture.build(cell.size, 300).eval()


def looks_at(weights: torch.Tensor) -> list[int]:
    """How far from a place, on average over them, a head looks most: [heads, queries, keys] -> one each."""
    inner = weights[:, 2:-2]
    places = torch.arange(2, LENGTH - 2)
    by_distance = [inner[:, range(LENGTH - 4), places + far].mean(dim=1) for far in (-2, -1, 0, 1, 2)]
    return [int(far) - 2 for far in torch.stack(by_distance).argmax(dim=0)]


def attended(model: torch.nn.Module, causal: bool = False) -> torch.Tensor:
    """[heads, queries, keys] of the first block, of a row of random ids."""
    ids = torch.randint(10, 290, (1, LENGTH))
    x, attention = model.states({"inputs": ids})[0], model.stack.blocks[0].self_attention
    query, key = (
        layer(x).unflatten(-1, (attention.num_heads, -1)) for layer in (attention.query, attention.key)
    )
    scores = torch.einsum("rqhd,rkhd->rhqk", query, key)[0] * attention.d_kv**-0.5
    later = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
    return (scores.masked_fill(later, -torch.inf) if causal else scores).softmax(dim=-1)


@torch.no_grad()
@pytest.mark.parametrize("words", [("bert", "masked_lm"), ("albert", "masked_lm_sentence_order")])
def test_half_of_the_heads_find_the_places_on_both_sides(words: tuple[str, str]) -> None:
    weights = attended(fresh(f"architecture={words[0]}", f"objective={words[1]}", "suite.use=[sentences]"))
    assert looks_at(weights)[:2] == [1, -1]
    assert weights[0].diagonal(1).mean() > 3 * weights[2].diagonal(1).mean()


@torch.no_grad()
def test_a_model_of_one_direction_looks_before_it() -> None:
    model = fresh("architecture=gpt", "objective=language_model", "suite.use=[sentences]")
    weights = attended(model, causal=True)
    assert looks_at(weights)[:2] == [-1, -1]
    assert weights[:2].diagonal(-1, 1, 2).mean() > 0.4 > 0.2 > weights[2:].diagonal(-1, 1, 2).mean()


@torch.no_grad()
def test_a_model_of_distances_looks_to_both_sides() -> None:
    model = fresh("architecture=xlnet", "objective=permutation_lm", "suite.use=[sentences]")
    batch = {"inputs": torch.randint(10, 290, (1, LENGTH))}
    x, attention = model.states(batch)[0], model.stack.blocks[0].self_attention
    weights = attention.weights(x, attention.keys(x, distances(LENGTH, x)), content_sight(batch))[0]
    assert looks_at(weights)[:2] == [1, -1]
    assert weights[0].diagonal(1).mean() > 0.3 > 0.1 > weights[2].diagonal(1).mean()


def test_turned_sinusoids_are_those_of_a_place_further() -> None:
    for width, d_kv in ((64, 16), (11, 16)):
        chosen = fastest(d_kv, width)
        here, there = sinusoids(torch.tensor([3.0, 8.0]), width)
        assert torch.allclose(turned(chosen, 5) @ chosen @ here, chosen @ there, atol=1e-5)


def test_a_narrow_model_starts_with_larger_numbers_and_the_study_without() -> None:
    words = ("architecture=bert", "objective=masked_lm", "suite.use=[sentences]")
    wide, plain = (fresh(*words, f"size.initialisation={name}") for name in ("mimetic", "study"))
    deviations = [model.stack.blocks[0].feed_forward.input.weight.std().item() for model in (wide, plain)]
    assert deviations[0] / deviations[1] == pytest.approx((768 / 64) ** 0.5, rel=0.05)
    assert deviations[1] == pytest.approx(DEVIATION, rel=0.2)  # cut at two deviations
    assert plain.position_embedding.weight.std().item() == pytest.approx(DEVIATION, rel=0.2)
