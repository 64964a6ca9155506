import csv
import io
import json

from tests.report.searches import NASTY, THREE, several
from tfopt.report.trial_rows import as_csv, as_json
from tfopt.run.search_record import SearchRecord

CONTENT = several(THREE)
RECORD = SearchRecord.from_json(CONTENT)


def test_json_has_what_the_record_has():
    rows = json.loads(as_json(RECORD))
    assert [row["number"] for row in rows] == list(range(1, 13))
    for row, trial in zip(rows, CONTENT["trials"], strict=True):
        for name in ("status", "values", "feasible", "run", "seconds", "epochs", "hypervolume", "reason"):
            assert row[name] == trial.get(name), name
        assert row["metrics"] == trial["figures"]
        assert row["violations"] == trial.get("violations", {})
        assert row["on_front"] == (trial["number"] in CONTENT["front"])
        assert row["best"] == (trial["number"] == CONTENT["best"])


def test_csv_has_the_same_values():
    rows = list(csv.DictReader(io.StringIO(as_csv(RECORD))))
    assert len(rows) == 12
    for row, trial in zip(rows, CONTENT["trials"], strict=True):
        assert row["status"] == trial["status"]
        assert row["on_front"] == str(trial["number"] in CONTENT["front"])
        assert row["reason"] == (trial.get("reason") or "")
        for kind, found in (("values", trial["values"]), ("metrics", trial["figures"])):
            columns = {name.removeprefix(f"{kind}."): v for name, v in row.items() if name.startswith(kind)}
            assert {name: value for name, value in columns.items() if value} == {
                name: str(value) for name, value in found.items()
            }
    assert rows[4]["violations.max bytes"] == "0.25"
    assert float(rows[0][f"values.{NASTY}"]) == CONTENT["trials"][0]["values"][NASTY]


def test_a_search_without_trials():
    assert json.loads(as_json(SearchRecord())) == []
    assert as_csv(SearchRecord()).startswith("number,status,feasible,on_front,best,run,")
