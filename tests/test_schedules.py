import json
import re
import subprocess
import sys

import pytest

from t5grid.config.build import build
from t5grid.training.schedules import (
    AdafactorSpec,
    AdamWOfMatrices,
    AdamWSpec,
    Constant,
    InverseSquareRoot,
    SlantedTriangular,
    WarmupDecay,
)


def test_the_inverse_square_root_equals_the_original(goldens):
    golden = json.loads((goldens / "learning_rates.json").read_text())
    cases = {case["id"]: case for case in golden["cases"]}
    for key, schedule in [("lr00", InverseSquareRoot()), ("lr03", InverseSquareRoot(num_warmup_steps=100))]:
        values = [schedule(step) for step in cases[key]["steps"]]
        assert values == pytest.approx(cases[key]["values"], rel=1e-6)


def test_pre_training_starts_at_its_highest_rate_without_a_ramp():
    schedule = InverseSquareRoot()
    assert [schedule(0), schedule(10_000), schedule(40_000)] == pytest.approx([0.01, 0.01, 0.005])


def test_the_constant_is_the_paper_s_for_fine_tuning():
    assert [Constant()(0), Constant()(10**6)] == [0.001, 0.001]


def test_warmup_decay_rises_stays_and_falls_to_zero():
    schedule = WarmupDecay(peak=0.02, num_steps=20, num_warmup_steps=4, decay_fraction=0.5)
    expected = {0: 0.005, 3: 0.02, 4: 0.02, 10: 0.02, 15: 0.01, 19: 0.002, 20: 0.0, 21: 0.0}
    assert {step: schedule(step) for step in expected} == pytest.approx(expected)


def test_warmup_decay_without_either_is_constant():
    assert {WarmupDecay(0.02, 20)(step) for step in range(25)} == {0.02}


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        (
            WarmupDecay,
            {"peak": 0.1, "num_steps": 10, "decay_fraction": 2.0},
            "a.decay_fraction=2.0: a number from 0 up, at most 1, is needed",
        ),
        (WarmupDecay, {"peak": 0.1, "num_steps": 0}, "a.num_steps=0: a whole number from 1 up is needed"),
        (AdamWSpec, {"beta2": 1.0}, "a.beta2=1.0: a number from 0 up, below 1, is needed"),
        (AdamWSpec, {"epsilon": -1e-8}, "a.epsilon=-1e-08: a number from 0 up is needed"),
        (InverseSquareRoot, {"num_warmup_steps": 0}, "a.num_warmup_steps=0: a whole number from 1 up"),
    ],
)
def test_impossible_settings_are_refused(spec, settings, message):
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}"):
        build(settings, "a", spec)


def test_schedules_and_specs_need_no_torch():
    code = (
        "import sys, t5grid.training.schedules, t5grid.model.architectures as a;"
        "a.EncoderDecoder().num_parameters(a.Size(8, 8, 8, 1, 1), 10); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_specs_build_their_optimizers():
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.ones(3))
    adafactor = AdafactorSpec(decay_offset=5).build([parameter], lr=0.5, step=7)
    assert {k: adafactor.param_groups[0][k] for k in ("lr", "step", "decay_offset", "clipping")} == {
        "lr": 0.5,
        "step": 7,
        "decay_offset": 5,
        "clipping": 1.0,
    }
    assert AdamWSpec(weight_decay=0.1).build([parameter], lr=0.5).param_groups[0]["weight_decay"] == 0.1


def test_weight_decay_spares_vectors_and_leaves_parameters_in_their_order():
    torch = pytest.importorskip("torch")
    shapes = [(2, 2), (3, 2), (2,), (2,), (2, 1)]
    parameters = [torch.nn.Parameter(torch.ones(shape)) for shape in shapes]
    spec = AdamWOfMatrices(weight_decay=0.5)
    optimizer = spec.build(iter(parameters), lr=0.1)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0, 0.5]
    for group, names in zip(optimizer.param_groups, ((0, 1), (2, 3), (4,)), strict=True):
        assert all(a is parameters[i] for a, i in zip(group["params"], names, strict=True))
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert [round(p.detach().flatten()[0].item(), 3) for p in parameters] == [0.95, 0.95, 1.0, 1.0, 0.95]
    rated = spec.build([{"params": parameters[:1], "lr": 0.3}, {"params": parameters[1:], "lr": 0.2}], lr=1.0)
    assert [group["lr"] for group in rated.param_groups] == [0.3, 0.2, 0.2, 0.2]


def test_a_ratio_of_a_thousand_is_bert_s_warm_up_and_linear_decay():
    schedule = SlantedTriangular(peak=1.0, num_steps=200, rising=0.1, ratio=1000.0)
    found = [schedule(step) for step in (0, 10, 20, 110, 199)]
    assert found == pytest.approx([0.001, 0.5005, 1.0, 0.5005, 0.0065], abs=1e-3)
