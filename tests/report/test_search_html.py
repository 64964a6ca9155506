import html
import re

import pytest

from tests.report.searches import NASTY, THREE, record, several, trial
from tests.report.test_html import Tags
from tfopt.report.search_charts import Axis
from tfopt.report.search_html import search_page, write_search_html
from tfopt.run.search_record import SearchRecord


@pytest.fixture
def show(tmp_path):
    def show(content):
        return search_page(tmp_path, SearchRecord.from_json(content))

    return show


def words(content):
    return " ".join(" ".join(Tags(content).text).split())


def figures(content):
    return [html.unescape(label) for label in re.findall(r'role="img" aria-label="([^"]*)"', content)]


def test_it_has_the_numbers_of_the_record(show):
    content = show(several(THREE))
    text = words(content)
    for said in (
        "Best: trial 2",
        "Goal: smallest bytes, smallest latency, highest accuracy.",
        "11 of 12 trials, 37 epochs, 12 min 0 s, sampler random",
        "8 complete, 1 running, 1 stopped, 1 failed, 1 rejected",
        "Front 2",
        "Hypervolume 0.432",
        "Trial 9 failed: <script>alert(1)</script>",
        "1 trial was rejected before training",
        "The sampler random has no study of Optuna.",
        "tfopt search recipes/digits.py",
        "5 infeasible",
        "10 stopped",
    ):
        assert said in text
    for number in range(1, 9):
        bytes_, accuracy = (several(THREE)["trials"][number - 1]["figures"][m] for m in ("bytes", "accuracy"))
        assert re.search(rf"\b{number}\b[^%]* {100 * accuracy:.2f} % {bytes_ / 1000:.1f} kB", text)


def test_each_pair_of_objectives_and_each_hyperparameter_is_drawn(show):
    assert figures(show(several(THREE))) == [
        "latency over bytes", "accuracy over bytes", "accuracy over latency", "Hypervolume",
        "Hyperparameters, coloured by bytes",
        *(f"bytes over {name}" for name in ("width", NASTY, "activation", "only sometimes")),
    ]  # fmt: skip


def test_names_and_values_are_escaped(show):
    content = show(several(THREE))
    assert not re.search(r"<(b>rate|i>swish|script)", content)
    assert html.escape(NASTY, quote=False) in content


def test_it_is_one_file_that_loads_nothing(show):
    content = show(several(THREE))
    links = [target for target in Tags(content).loads if not target.startswith("#")]
    assert links
    assert all(re.fullmatch(r"\.\./trials/\w+/report\.html", link) for link in links)
    assert not re.search(r"url\((?!#)|@import", content)


def test_one_goal_is_drawn_over_the_trials(show):
    names = figures(show(several({"mae": "min"})))
    assert names[:2] == ["mae of each trial", "Hypervolume"]
    assert f"mae over {NASTY}" in names


def test_a_search_in_which_nothing_completed(show):
    content = show(several(THREE) | {"trials": several(THREE)["trials"][8:], "best": None, "front": []})
    assert figures(content) == []
    assert words(content).count("No trial completed.") == 3  # the title, the heading and the front
    assert words(show({"schema": 2})).count("No trial") == 4


def test_one_trial_and_values_that_never_differ(show):
    one = record(THREE, [trial(2, {"bytes": 1, "latency": 1.0, "accuracy": 0.5}, {"width": 8})])
    assert figures(show(one)) == [
        "latency over bytes", "accuracy over bytes", "accuracy over latency", "Hypervolume"
    ]  # fmt: skip


def test_the_first_version_of_the_record(show):
    trials = [
        trial(n, {"accuracy": 0.9 + n / 100, "bytes": 1000 * n, "latency": 0.5}, {"width": 8 * n})
        for n in (1, 2, 3)
    ]
    for each in trials:
        del each["hypervolume"], each["epochs"]
    old = {
        "schema": 1, "status": "complete", "front": [1, 2], "best": 1, "trials": trials,
        "goal": {"metric": "bytes", "direction": "min", "keep": {"accuracy": -0.01}},
        "baseline": {"accuracy": 0.98},
    }  # fmt: skip
    content = show(old)
    assert figures(content)[0] == "bytes over accuracy"
    assert "bytes over width" in figures(content)
    assert "No hypervolume was recorded." in words(content)


def test_a_value_that_was_not_measured_is_left_out(show):
    content = several(THREE)
    content["trials"][0]["figures"]["bytes"] = None
    content["trials"][1]["figures"]["latency"] = None
    assert len(figures(show(content))) == 9


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_importances_come_from_the_study(tmp_path):
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    (tmp_path / "tuner").mkdir()
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "tuner" / "optuna.journal")))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage, study_name="search", directions=["minimize", "minimize", "maximize"]
    )
    content = several(THREE)
    search = SearchRecord.from_json(content)
    assert "of another goal" in search_page(tmp_path, search)
    study.set_metric_names([*THREE])
    assert "do not differ" in search_page(tmp_path, search)
    space = {name: optuna.distributions.FloatDistribution(0, 1) for name in ("width", NASTY)}
    for number in range(20):
        params = {"width": number / 20, NASTY: number * 7 % 20 / 20}
        values = [params["width"], params[NASTY], 0.5]
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, values=values))
    page = write_search_html(tmp_path, content).read_text()
    assert [name for name in figures(page) if "Importance" in name] == [
        "Importance for bytes", "Importance for latency"
    ]  # fmt: skip
    bytes_ = page[page.index("Importance for bytes") : page.index("Importance for latency")]
    shares = [float(share) for share in re.findall(r"([\d.]+) %", re.sub("<!--.*?-->", "", bytes_))]
    assert sum(shares) == pytest.approx(100, abs=0.2)
    assert shares[-1] > 90  # the last that is drawn is the highest: the width
    few = content | {"trials": content["trials"][:3]}
    assert "Importances need 4 completed trials, 3 did." in search_page(tmp_path, SearchRecord.from_json(few))


def test_a_study_that_is_none_leaves_importances_out(tmp_path):
    (tmp_path / "tuner" / "optuna.journal").mkdir(parents=True)
    assert "has no study" in search_page(tmp_path, SearchRecord.from_json(several(THREE)))
    (tmp_path / "tuner" / "optuna.journal").rmdir()
    for content in ("", "no json\n{}\n"):
        (tmp_path / "tuner" / "optuna.journal").write_text(content)
        page = search_page(tmp_path, SearchRecord.from_json(several(THREE)))
        assert "cannot be read" in page, content


def test_axes():
    assert Axis.of([1, 2.0, None]) == Axis()
    assert Axis.of([1e-4, 0.1]).logarithmic
    assert not Axis.of([0, 1000]).logarithmic
    assert Axis.of([True, False]).place(True) == 1
    assert Axis.of([3, "same", float("inf")]).choices == ("3", "inf", "same")
