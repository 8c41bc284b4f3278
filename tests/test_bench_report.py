"""What `make bench` makes of its measurements. The measuring itself is in no test: it would only be slow and noisy."""

import msgspec
import pytest

from tests.bench import bars, report
from tests.bench.contenders import table
from tests.bench.load import Outcome
from tests.bench.measure import Wrong, outcome_verify
from tests.bench.results import Event, Fairness, Latency, Machine, Results, Row, Stage, StoreRow
from tests.door.rig import ROOT

RESULTS = Results(
    machine=Machine(2, 0.4, {"Python": "3.13.1", "Valkey": "9.1.2"}),
    rows=[
        Row("door, 2 rules", "two", checks_per_s=31_234.5, user_us=13, system_us=6, store_us=10.5, checks_per_call=20),
        Row("door, leases", "held", user_us=4, system_us=0.5, store_us=0.25, checks_per_call=900),
        Row("nginx, a constant", "no check", absent="not installed"),
    ],
    store=[
        StoreRow("an empty script", 0, 1.5),
        StoreRow("check script, 2 rules", 1, 9.0),
        StoreRow("check script, 2 rules", 64, 320.0),
    ],
    counter_bytes=118,
    latencies=[Latency(0.25, 8_000, 0.3, 1.1, 2.0), Latency(0.5, 16_000, 0.4, 5.1, 9.0)],
    fairness=Fairness(1.0, 2.0, 80.0, 7.0),
    events=[Event(1, 3.0, 110.0)],
    stages=[Stage("render", 2.0), Stage("interpret", 1.0)],
    leased=[Stage("render", 1.5)],
)
DOCUMENT = f"# By hand\n\nbefore\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n"


def verdict(what, results=RESULTS):
    (found,) = [one for one in bars.verdicts(results) if one.bar.what == what]
    return found.word


def test_only_what_stands_between_the_markers_is_written(tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(DOCUMENT)
    report.write(page, RESULTS)
    before, _, rest = page.read_text().partition(report.BEGIN)
    inside, _, after = rest.partition(report.END)
    assert (before, after) == ("# By hand\n\nbefore\n\n", "\n\nafter\n")
    assert inside.strip() == report.markdown(RESULTS)


def test_the_same_run_written_again_changes_nothing(tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(DOCUMENT)
    report.write(page, RESULTS)
    once = page.read_text()
    report.write(page, msgspec.json.decode(msgspec.json.encode(RESULTS), type=Results))
    assert page.read_text() == once


@pytest.mark.parametrize("document", ["", report.BEGIN, report.END, f"{report.END}{report.BEGIN}"])
def test_a_document_without_both_markers_is_refused(document):
    with pytest.raises(report.MarkersMissing):
        report.between_markers(document, "text")


def test_the_page_has_the_markers():
    page = (ROOT / "docs" / "performance.md").read_text()
    assert report.between_markers(page, "text") != page


def test_every_contender_has_a_line_and_an_absent_one_says_why():
    text = report.markdown(RESULTS)
    assert "| door, 2 rules | two | 19.0 | 6.0 | 10.5 | 31,234 | 52,632 |" in text
    assert "| nginx, a constant | not installed | – | – | – | – | – |" in text


def test_each_line_of_a_table_has_as_many_cells_as_its_heads():
    tables = [part.splitlines() for part in report.markdown(RESULTS).split("\n\n") if part.startswith("|")]
    assert len(tables) == 6
    assert [{line.count("|") for line in lines} for lines in tables] == [{lines[0].count("|")} for lines in tables]


def test_a_row_that_the_machine_disturbed_says_so_and_is_not_judged():
    disturbed = msgspec.structs.replace(RESULTS.rows[0], degraded=0.2)
    results = msgspec.structs.replace(RESULTS, rows=[disturbed])
    assert "20% answered without the store" in report.markdown(results)
    assert verdict("the door's CPU a check, 2 rules", results) == "not measured"


def test_a_bar_is_met_missed_or_not_measured():
    assert verdict("the door's CPU a check, 2 rules") == "met"
    assert verdict("Redis CPU a check, 2 rules") == "missed"
    assert verdict("p99 of a check at half of capacity") == "missed"
    assert verdict("decisions through leases, a core of the door") == "met"
    assert verdict("decisions through batches, a core of Redis") == "not measured"


def test_a_missed_bar_says_where_the_time_goes():
    text = report.markdown(RESULTS)
    assert "- Redis CPU a check, 2 rules: the script alone takes 5.0 µs a check with 64 checks a call and 9.0" in text
    assert "- the door's CPU a check" not in text


def test_the_bars_speak_of_contenders_that_there_are():
    names = {contender.name for contender in table.CONTENDERS}
    spoken_of = {table.ONE_RULE, table.TWO_RULES, table.TWO_RULES_64, table.BATCHES, table.BATCHES_64, table.LEASES}
    assert spoken_of | {table.LEASES_64, table.DJANGO} <= names
    assert len(names) == len(table.CONTENDERS)


@pytest.mark.parametrize("contender", table.CONTENDERS, ids=lambda contender: contender.name)
def test_a_contender_says_what_it_is_and_what_it_must_answer(contender):
    assert contender.name
    assert contender.says
    assert callable(contender.start)
    assert isinstance(contender.absent(), str)
    assert contender.checks >= 1
    assert contender.connections >= 1
    assert (
        sum(least for least, _ in contender.shares.values()) <= 1 <= sum(most for _, most in contender.shares.values())
    )
    assert contender.shares.keys() <= {200, 429}


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(1.0, {200: 9, 500: 1}, [0.1] * 10),
        Outcome(1.0, {429: 10}, [0.1] * 10),
        Outcome(1.0, {200: 10}, [0.1] * 10, faulty=1),
    ],
    ids=["an error", "denials that nobody asked for", "an entry of a batch"],
)
def test_a_contender_that_answers_errors_is_not_measured(outcome):
    contender = next(one for one in table.CONTENDERS if one.name == table.TWO_RULES)
    with pytest.raises(Wrong):
        outcome_verify(contender, outcome)
    outcome_verify(contender, Outcome(1.0, {200: 10}, [0.1] * 10))
