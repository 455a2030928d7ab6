"""page: what a reader does with it in a real browser: rows, figures, copies, budgets, keys, screen reader."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from page_browser import opened
from test_report import study_in

from t5grid.results.report import page, page_data

pytestmark = pytest.mark.slow
SECTION = "#table-objectives"
UNFOLD = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
CUT = """
    const beyond = ({ left, right }) => left < -1 || right > 391;
    return [...document.querySelectorAll("main *, header *")]
      .filter((each) => !each.closest(".scroll") && beyond(each.getBoundingClientRect()))
      .map((each) => each.outerHTML.slice(0, 90))"""
"""What of a page on a phone is outside the screen and cannot be scrolled to."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    made = page_data(study_in(tmp_path_factory.mktemp("page")))
    first = made["runs"][made["tables"][0]["rows"][0]["cells"]["sentences"]["runs"][0]]
    first["attention"] = [ATTENTION]
    first["curves"]["finetune/sentences-a-12ab"] = [[50, 3.0], [100, 2.0]]
    return made


ATTENTION = {
    "text": "a b",
    "answer": "c",
    "parts": [
        {
            "part": "encoder",
            "queries": ["a", "b"],
            "keys": ["a", "b"],
            "weights": [[[[500, 500], [0, 1000]]]],
        },
        {"part": "cross", "queries": ["c"], "keys": ["a", "b"], "weights": [[[[100, 900]], [[700, 300]]]]},
    ],
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened() as running:
        yield running


@pytest.fixture
def shown(browser: Any, data: dict[str, Any], tmp_path: Path) -> Any:
    """The browser, on a fresh page of two budgets: one as run, one as it would be at smoke."""
    smoke = json.loads(json.dumps(data)) | {"scale": "Suite nano, size nano, budget smoke", "stem": "smoke"}
    for table in smoke["tables"]:
        table["meaningless"] = True
        for row in table["rows"]:
            for cell in row["cells"].values():
                cell["warmth"] = None
    path = tmp_path / "report.html"
    path.write_text(page([data, smoke]), encoding="utf-8")
    browser.get(path.as_uri())
    return browser


def click(browser: Any, selector: str) -> None:
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def texts(browser: Any, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)"
    return list(browser.execute_script(script, selector))


def figure(browser: Any, kind: str) -> None:
    click(browser, f"{SECTION} input[name=figure-objectives][value={kind}]")


def test_a_row_that_is_taken_away_leaves_numbers_figures_and_the_copy(shown: Any) -> None:
    rows = f"{SECTION} .numbers tbody tr"
    assert len(texts(shown, rows)) == 9
    click(shown, f"{SECTION} .rows label:nth-child(2) input")
    assert len(texts(shown, rows)) == 8
    assert "Rows (8 of 9)" in texts(shown, f"{SECTION} summary")
    assert "Language modeling" not in texts(shown, f"{SECTION} .panels figure:first-child text")
    copied = shown.execute_script("return csvOf(study.tables[0], viewOf(study.tables[0]))").splitlines()
    assert copied[0] == "Objective,Sentences,Summarization,Questions,Reasoning,To Norvin,To Kelosh,To Tamiri"
    assert [line.split(",")[0] for line in copied[1:3]] == [
        "Prefix language modeling",
        '"BERT-style (Devlin et al.',
    ]
    figure(shown, "ranks")
    click(shown, f"{SECTION} .legend li:nth-child(2) button")
    assert len(texts(shown, rows)) == 9


def test_the_copy_has_every_digit_in_the_order_of_now(shown: Any, data: dict[str, Any]) -> None:
    click(shown, f"{SECTION} th[data-key=questions] button")
    shown.execute_script("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    click(shown, f"{SECTION} .bar button")
    lines = shown.execute_script("return window.copied").splitlines()
    scores = [row["cells"]["questions"]["mean"] for row in data["tables"][0]["rows"]]
    assert [float(line.split(",")[-5]) for line in lines[1:10]] == sorted(scores, reverse=True)
    assert lines[10].startswith("Constant answer,") and lines[-1].startswith("Baseline standard deviation,")


def test_every_kind_of_figure_is_drawn_and_losses_have_a_panel_an_objective(
    shown: Any, data: dict[str, Any]
) -> None:
    panels = f"{SECTION} .panels > figure"
    numbers = {"scores": 7, "ranks": 7, "loss": 8, "steps": 7, "tuning": 7, "cost": 2}
    for kind, number in numbers.items():
        figure(shown, kind)
        assert len(texts(shown, panels)) == number, kind
    figure(shown, "loss")
    assert "Prefix language modeling" in texts(shown, f"{panels} figcaption")
    assert not texts(shown, f"{panels} path.faint")
    move = "arguments[0].value = 2; arguments[0].dispatchEvent(new Event('input'))"
    shown.execute_script(move, shown.find_element("css selector", f"{SECTION} input[type=range]"))
    assert len(texts(shown, f"{panels} path.faint")) == 8
    assert [entry for entry in shown.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_smoothing_is_the_mean_of_a_point_and_its_neighbours(shown: Any) -> None:
    made = shown.execute_script("return smoothed([[1, 3], [2, 6], [3, 0], [4, 6]], 1)")
    assert made == [[1, 4.5], [2, 3], [3, 4], [4, 3]]


def test_the_value_under_the_pointer_is_said(shown: Any) -> None:
    found = shown.execute_script("""
        const svg = document.querySelector("#table-objectives .panels svg");
        svg.scrollIntoView();
        const box = svg.querySelector("circle.dot").getBoundingClientRect();
        const at = { clientX: box.left + 2, clientY: box.top + 2, bubbles: true };
        svg.dispatchEvent(new PointerEvent("pointermove", at));
        const tip = document.getElementById("tip"), said = [tip.hidden, tip.textContent];
        svg.dispatchEvent(new PointerEvent("pointerleave"));
        return [...said, tip.hidden]""")
    assert found == [False, "Prefix language modeling\nSentences: 59.94 (3.0)", True]


def test_all_rows_answer_the_same_example_side_by_side(shown: Any, data: dict[str, Any]) -> None:
    shown.execute_script("[...document.querySelectorAll('#table-objectives details')].at(-1).open = true")
    article = f"{SECTION} article:first-child"
    shown.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0]))")
    assert texts(shown, f"{article} th") == texts(shown, f"{SECTION} .numbers tbody th")
    runs, rows = data["runs"], data["tables"][0]["rows"]
    first = [runs[row["cells"]["sentences"]["runs"][0]]["samples"]["grammatical"][0] for row in rows]
    assert first[0]["input"] in texts(shown, f"{article} p")[0]
    signs = ["✓ " if sample["prediction"] == sample["target"] else "– " for sample in first]
    answers = [sign + sample["prediction"] for sign, sample in zip(signs, first, strict=True)]
    assert texts(shown, f"{article} td") == answers


def test_another_budget_is_a_click_away_and_smoke_explains_marks_alone(shown: Any) -> None:
    legend, caption = "#grid .bar", "#grid .caption"
    assert "best of its column" in texts(shown, legend)[0] and "blue" in texts(shown, caption)[0]
    click(shown, f"{SECTION} td button")
    assert "budget smoke: 59.94" in texts(shown, "#cell")[0]
    shown.execute_script("document.getElementById('cell').close()")
    click(shown, "input[name=budget][value=smoke]")
    assert texts(shown, "#scale") == ["Suite nano, size nano, budget smoke"]
    assert texts(shown, legend) == ["✓ done"]
    assert "blue" not in texts(shown, caption)[0] and "number" not in texts(shown, caption)[0]


def test_attention_is_a_map_for_each_layer_and_head_of_a_part(shown: Any) -> None:
    click(shown, f"{SECTION} td button")
    maps, large = "#cell .maps button", "#cell figure.map svg"
    assert texts(shown, maps) == ["layer 1, head 1", "layer 1, head 2"]
    says = "return document.querySelector(arguments[0]).getAttribute('aria-label')"
    assert shown.execute_script(says, large) == "Layer 1, head 1: c most to b"
    click(shown, f"{maps}:nth-child(2)")
    assert shown.execute_script(says, large) == "Layer 1, head 2: c most to a"
    click(shown, "#cell input[value=encoder]")
    assert texts(shown, maps) == ["layer 1, head 1"]
    cells = shown.find_elements("css selector", "#cell rect.weight")
    assert [cell.get_attribute("fill-opacity") for cell in cells] == ["0.5", "0.5", "1"]


def test_provenance_is_folded_away_and_there(shown: Any) -> None:
    closed = "details:not([open])"
    assert any("Machine: " in text for text in texts(shown, f"{SECTION} {closed}"))
    assert "Machine: " not in texts(shown, f"{SECTION} > .caption")[0]


def test_a_cell_is_reached_left_and_found_again_by_keyboard(shown: Any) -> None:
    shown.execute_script("document.querySelector('#table-objectives td button').focus()")
    shown.switch_to.active_element.send_keys("\ue007")  # Enter
    assert shown.execute_script("return document.getElementById('cell').open")
    shown.switch_to.active_element.send_keys("\ue004")  # Tab
    assert shown.execute_script("return document.activeElement.closest('#cell') !== null")
    shown.switch_to.active_element.send_keys("\ue00c")  # Escape
    where = "return document.activeElement.getAttribute('aria-label')"
    assert shown.execute_script(where) == "Prefix language modeling, Sentences: 59.94 (3.0)"
    shown.execute_script("document.querySelector('#table-objectives .rows').parentElement.open = true")
    shown.execute_script("document.querySelector('#table-objectives .rows input').focus()")
    shown.switch_to.active_element.send_keys(" ")
    where = "return [document.activeElement.type, document.activeElement.checked]"
    assert shown.execute_script(where) == ["checkbox", False]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_screen_reader_finds_no_fault_with_the_page(shown: Any, scheme: str) -> None:
    """By axe-core, with everything unfolded; every kind of figure, then the dialog of a cell."""
    found = find_spec("axe_core_python")
    if found is None or found.origin is None:
        pytest.skip("no axe-core: pip install axe-core-python")
    shown.execute_script(f"document.documentElement.dataset.theme = '{scheme}'")
    shown.execute_script(UNFOLD)
    shown.execute_script((Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8"))
    assert faults(shown) == []
    for kind in ("ranks", "loss", "cost"):
        figure(shown, kind)
        assert faults(shown, SECTION) == []
    click(shown, f"{SECTION} td button")
    assert faults(shown, "#cell") == []


def faults(browser: Any, where: str = "html") -> list[str]:
    """What axe-core finds: rule and element."""
    made = browser.execute_async_script(
        "const done = arguments[1]; axe.run(arguments[0], { resultTypes: ['violations'] }).then(done)", where
    )
    assert len(made["passes"]) > 3
    return [f"{rule['id']}: {node['html'][:90]}" for rule in made["violations"] for node in rule["nodes"]]


def test_no_figure_or_example_is_cut_on_a_phone(shown: Any) -> None:
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    shown.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    shown.execute_script(UNFOLD)
    for kind in ("scores", "ranks", "loss", "steps", "cost"):
        figure(shown, kind)
        assert shown.execute_script(CUT) == [], kind
    shown.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
