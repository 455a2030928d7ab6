"""report: the page shows what the records say, alone in one file, live on the loopback, in a real browser."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from page_browser import opened

from t5grid.files import write_whole
from t5grid.results import report
from t5grid.results.live import server
from t5grid.results.publishing import serve_report
from t5grid.results.records import losses_in
from t5grid.results.report import page, page_data, steps_of
from t5grid.results.study import Study, load_study

RESULTS = Path(__file__).parents[1] / "results"


def study_in(folder: Path, *names: str) -> Study:
    """The committed records, and no stages of this machine."""
    overrides = ["budget=nano", f"runtime.runs_dir={folder}/runs", f"runtime.results_dir={RESULTS}"]
    return load_study(overrides, names or ["objectives"])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_in(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def data(study: Study) -> dict[str, Any]:
    return page_data(study)


@pytest.mark.slow
def test_the_pages_numbers_are_the_committed_tables(data: dict[str, Any]) -> None:
    (table,) = data["tables"]
    lines = (RESULTS / "tables" / "objectives-nano.csv").read_text(encoding="utf-8").splitlines()
    for row, line in zip(table["rows"], lines[1:], strict=False):
        means = [cell["mean"] for cell in row["cells"].values()]
        assert ",".join(f"{mean:.4f}" for mean in means) in line


@pytest.mark.slow
def test_every_cell_leads_to_scores_a_task_and_decoded_examples(data: dict[str, Any]) -> None:
    for row in data["tables"][0]["rows"]:
        for cell in row["cells"].values():
            for identity in cell["runs"]:
                run = data["runs"][identity]
                assert run["tasks"] and run["state"] == "done"
                for samples in run["samples"].values():
                    assert 1 <= len(samples) <= 3 and set(samples[0]) == {"input", "target", "prediction"}


@pytest.mark.slow
def test_the_page_stands_alone(data: dict[str, Any]) -> None:
    text = page([data])
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)""", text) == []
    assert "@import" not in text and "url(" not in text
    assert text.count("</script>") == 2


@pytest.mark.slow
def test_text_from_a_record_cannot_end_the_data_or_become_markup(data: dict[str, Any]) -> None:
    sly = {**data, "scale": "</script><script>alert(1)</script>"}
    text = page([sly])
    assert text.count("</script>") == 2
    held = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert held and json.loads(held[1])["studies"][0]["scale"] == sly["scale"]


def test_a_table_brings_what_its_charts_show(tmp_path: Path) -> None:
    (table,) = page_data(study_in(tmp_path, "finetuning"))["tables"]
    charts = table["charts"]
    assert charts["axis"]["places"]["adapters_32"] == (32.0, "")
    assert charts["axis"]["log"] and set(charts["costs"]) == {row["key"] for row in table["rows"]}
    (curve,) = charts["curves"]
    assert curve["rows"] == [row["key"] for row in table["rows"]] and len(curve["points"]) > 40
    assert curve["objective"].startswith("replace spans (rate 0.15")
    assert sorted(charts["ranks"]["questions"]["places"].values())[0] == 1
    assert table["floors"]["questions"] == 1.0


def test_facts_of_a_row_stand_before_its_scores(tmp_path: Path) -> None:
    (table,) = page_data(study_in(tmp_path, "architectures"))["tables"]
    assert table["shown"] == ["Params", "Cost", "Parameters", "FLOPs a token"]
    assert table["rows"][1]["shown"][:3] == ["P", "M", "262,720"]
    assert table["rows"][1]["paper"]["facts"]["Params"] == "P"


def test_a_cell_that_has_not_run_says_so(tmp_path: Path) -> None:
    overrides = ["budget=smoke", f"runtime.runs_dir={tmp_path}/runs", f"runtime.results_dir={RESULTS}"]
    data = page_data(load_study(overrides, ["corruption_rate"]))
    cell = data["tables"][0]["rows"][-1]["cells"]["questions"]
    assert (cell["mean"], cell["state"], cell["hole"]) == (None, "missing", "not run")


@pytest.fixture(scope="module")
def address(study: Study) -> Iterator[str]:
    with server([study], 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.mark.slow
def test_the_server_is_on_the_loopback_and_gives_the_page_and_its_data(address: str) -> None:
    with urlopen(f"{address}/data.json") as reply:
        tag, data = reply.headers["ETag"], json.load(reply)
    assert data["live"] and data["studies"][0]["tables"][0]["name"] == "objectives"
    with urlopen(address) as reply:
        assert b'"live": true' in reply.read()
    request = Request(f"{address}/data.json", headers={"If-None-Match": tag})
    with pytest.raises(Exception, match="304"):
        urlopen(request)
    with pytest.raises(Exception, match="404"):
        urlopen(f"{address}/../pyproject.toml")


@pytest.mark.parametrize(
    ("host", "code"),
    [(host, 404) for host in ("127.0.0.1:8321", "LocalHost:9000", "localhost")]
    + [
        (host, 421)
        for host in ("evil.example", "evil.example:8321", "localhost.evil.example", "127.0.0.1.evil", "")
    ],
)
def test_the_server_answers_under_its_own_name_only(host: str, code: int, tmp_path: Path) -> None:
    with server([study_in(tmp_path, "corruption_rate")], 0) as running:
        thread = threading.Thread(target=running.handle_request)
        thread.start()
        with socket.create_connection(running.server_address[:2]) as connection:
            connection.sendall(f"GET /absent HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            answer = connection.makefile("rb").read()
        thread.join()
    assert int(answer.split()[1]) == code  # 404: asked for what is not there


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened() as running:
        yield running


def first_column(browser: Any) -> list[str]:
    rows = browser.find_elements("css selector", "#table-objectives tbody tr")
    return [row.find_element("css selector", "th").text for row in rows]


def numbers(browser: Any, column: int) -> list[float]:
    cells = browser.find_elements("css selector", f"#table-objectives tbody td:nth-of-type({column})")
    return [
        float(re.sub(r" [±/(].*", "", cell.text).replace("−", "-")) for cell in cells if "–" not in cell.text
    ]


@pytest.mark.slow
def test_the_page_works_in_a_browser(browser: Any, data: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page([data]), encoding="utf-8")
    browser.get(path.as_uri())
    titles = first_column(browser)
    assert titles[0] == "Prefix language modeling" and "★ Replace corrupted spans" in titles

    assert "asks what such a model's success depends on" in browser.find_element("id", "summary").text
    assert len(browser.find_elements("css selector", "#grid td.heat")) == 63
    low, floor = "#grid td.low", "#table-objectives td.floor"
    counts = [len(browser.find_elements("css selector", cells)) for cells in (low, floor)]
    assert counts[0] == counts[1] > 0
    assert len(browser.find_elements("css selector", ".effect svg")) == sum(
        len(claim["effects"]) for claim in data["forest"]
    )
    foot = browser.find_element("css selector", "#table-objectives tfoot").text
    assert foot.startswith("Constant answer") and "exact match ↑, 300 rows" in browser.page_source

    sort = "#table-objectives th[data-key=questions] button"
    browser.find_element("css selector", sort).click()
    assert numbers(browser, 3) == sorted(numbers(browser, 3), reverse=True)
    browser.find_element("css selector", sort).click()
    assert numbers(browser, 3) == sorted(numbers(browser, 3))
    browser.find_element("css selector", sort).click()
    assert first_column(browser) == titles

    scored = {row["key"]: row["cells"]["questions"] for row in data["tables"][0]["rows"]}
    base, other = scored["replace_spans"], scored["prefix_lm"]
    gain = round((other["mean"] - base["mean"]) / base["deviation"], 1)
    for show, expected in (("paper", 80.88), ("gain", gain), ("ours", None)):
        browser.find_element("css selector", f"#table-objectives input[value={show}]").click()
        shown = numbers(browser, 3)
        assert expected is None or expected in shown
    ours = [row["cells"]["questions"]["mean"] for row in data["tables"][0]["rows"]]
    assert shown == [pytest.approx(mean, abs=0.006) for mean in ours]

    browser.find_element("css selector", "#table-objectives tbody td button").click()
    dialog = browser.find_element("id", "cell")
    assert dialog.is_displayed() and "Prefix language modeling: Sentences" in dialog.text
    assert "prediction" in dialog.text and "t5grid.data.objectives.PrefixLanguageModeling" in dialog.text
    browser.switch_to.active_element.send_keys("\ue00c")  # Escape
    assert not dialog.is_displayed()
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


@pytest.mark.slow
def test_the_page_fits_a_phone_in_light_and_dark(browser: Any, data: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page([data]), encoding="utf-8")
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    colours = []
    for scheme in ("light", "dark"):
        feature = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
        browser.get(path.as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        colours.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        right = "return document.querySelector('#findings td:last-child').getBoundingClientRect().right"
        assert browser.execute_script(right) <= 390
    browser.execute_script("document.querySelector('#table-objectives td button').click()")
    dialog = "const cell = document.getElementById('cell'); return cell.scrollWidth - cell.clientWidth"
    assert browser.execute_script(dialog) == 0
    assert colours == ["rgb(255, 255, 255)", "rgb(22, 24, 28)"]
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.slow
def test_a_printed_page_is_light_and_shows_whole_tables(
    browser: Any, data: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(page([data]), encoding="utf-8")
    browser.get(path.as_uri())
    browser.execute_script("document.documentElement.dataset.theme = 'dark'")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    style = "const style = getComputedStyle(document.querySelector(arguments[0])); return style[arguments[1]]"
    assert browser.execute_script(style, "body", "color") == "rgb(28, 28, 30)"
    assert browser.execute_script(style, "#table-objectives .scroll", "overflow") == "visible"
    assert browser.execute_script(style, ".overview", "maxHeight") == "none"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


@pytest.mark.slow
def test_fresh_data_leave_the_reader_where_they_are(
    browser: Any, data: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(page([data]), encoding="utf-8")
    browser.get(path.as_uri())
    browser.execute_script("""
        document.styleSheets[0].insertRule(".overview { max-height: 6rem !important }");
        document.querySelector("#table-objectives details").open = true;
        document.querySelector(".overview").scrollTo(0, 40);
        document.querySelector("#table-objectives th[data-key=questions] button").focus();
        window.old = document.activeElement""")
    found = browser.execute_async_script("""
        const done = arguments[0];
        requestAnimationFrame(() => setTimeout(() => {
          draw();
          const now = document.activeElement;
          done([now !== old && now.textContent, document.querySelector(".overview").scrollTop,
            document.querySelector("#table-objectives details").open]);
        }))""")
    assert found == ["Questions", 40, True]


@pytest.mark.slow
def test_data_that_come_while_a_cell_is_open_are_shown_after_it(
    browser: Any, data: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(page([data]), encoding="utf-8")
    browser.get(path.as_uri())
    said = browser.execute_async_script("""
        const done = arguments[0], cell = document.getElementById("cell"), asked = [];
        window.fetch = async (_, options) => {
          asked.push(options.headers?.["If-None-Match"]);
          if (asked.length === 1) cell.showModal();
          if (asked.length > 3) throw new Error("gone");
          const headers = { get: () => "a" }, fresh = { ...study, scale: "fresh" };
          const json = async () => ({ studies: [fresh] });
          return { status: asked.length > 2 ? 304 : 200, headers, json };
        };
        const scale = () => document.getElementById("scale").textContent;
        const counts = () => document.getElementById("counts").textContent;
        (async () => {
          const said = [];
          for (let k = 0; k < 4; k++) { await refresh(); said.push(scale(), counts()); cell.close(); }
          done([said, asked]);
        })()""")
    (opened, _, closed, counted, _, same, _, gone), asked = said
    assert (opened, closed) == (data["scale"], "fresh")
    assert counted == same and counted.startswith("Cells: ") and gone.startswith("The server has stopped")
    assert asked == [None, None, "a", "a"]


@pytest.mark.slow
def test_the_live_page_draws_what_the_server_sends(browser: Any, address: str) -> None:
    browser.get(address)
    assert "63 done" in browser.find_element("id", "counts").text
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.slow
def test_a_score_without_a_value_and_a_spoilt_record_are_states_of_their_own(tmp_path: Path) -> None:
    """JSON has no NaN: the page says that a score is undefined, of which metric, and what is spoilt."""
    overrides = ["budget=nano", "suite.use=[questions]", f"runtime.runs_dir={tmp_path}/runs"]
    study = load_study([*overrides, f"runtime.results_dir={tmp_path}/results"], ["objectives"])
    (stage, other, *_) = [s for s in study.grids["objectives"].stages if s.kind == "evaluate"]
    committed = json.loads((RESULTS / "records" / f"{stage.identity}.json").read_text())
    nan = {"score": float("nan"), "tasks": {"questions": {"step": 1, "f1": float("nan")}}}
    write_whole(study.results / "records" / f"{stage.identity}.json", json.dumps(committed | nan))
    write_whole(study.results / "records" / f"{other.identity}.json", "{}")
    made = page_data(study)
    run, spoilt = made["runs"][stage.identity], made["runs"][other.identity]
    assert (run["score"], run["state"], run["tasks"]["questions"]["f1"]) == (None, "undefined", "undefined")
    assert run["detail"].startswith("undefined: questions f1; ")
    assert (spoilt["state"], spoilt["detail"]) == (
        "spoilt",
        "record set aside: not a record, but an empty object",
    )
    states = [row["cells"]["questions"]["state"] for row in made["tables"][0]["rows"]]
    assert states.count("undefined") == states.count("spoilt") == 1
    assert '"undefined"' in page([made])


def test_scores_by_step_are_in_order_and_one_without_a_value_is_left_out() -> None:
    by_step = {"1000": 3.0, "75": 1.0, "150": float("nan")}
    assert steps_of({"by_step": by_step}) == [(75, 1.0), (1000, 3.0)]
    assert steps_of({}) == []


def test_a_loss_that_is_no_number_leaves_the_rest_of_its_curve(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n1,2.5\n2,nan\n3,inf\n4,2.0\n")
    assert losses_in(path) == [(1, 2.5), (4, 2.0)]


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_there_cannot_be_is_refused(study: Study, port: int) -> None:
    with pytest.raises(ValueError, match=f"report: --port {port}: from 0 .any free port. to 65535"):
        serve_report([study], port, False)


@pytest.mark.parametrize(
    ("shots", "text"),
    [
        ({}, ""),
        ({"a": {"asked": 16, "least": 3, "most": 5}}, "; examples in a prompt: a 3 to 5 of 16"),
        (
            {"a": {"asked": 2, "least": 2, "most": 2}, "b": {"asked": None, "least": 1, "most": 9}},
            "; examples in a prompt: a 2 of 2, b 1 to 9 of as many as fit",
        ),
    ],
)
def test_a_run_says_how_many_examples_its_prompts_had(shots: dict[str, Any], text: str) -> None:
    assert report._examples(shots) == text
