"""Every example in the README and the guide runs as it stands.

The `python` blocks of a page run one after another in one namespace, which is empty at first, in an empty
folder. A block that begins with the name of a file, such as `# recipes/mine.py`, is saved under that name
before it runs, and the `tfopt` commands of `sh` blocks run where they stand. Epochs and trials are cut to
one. A block that cannot run is marked `py` instead of `python`, and a command without `sh`.
"""

import re
import shlex
from pathlib import Path

import keras
import pytest

from tfopt.cli.main import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.py)\n")


def _examples(page):
    return BLOCK.findall(page.read_text())


def _run_commands(block):
    for line in block.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "tfopt", f"only tfopt's commands run here: {line}"
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0, line


LONG = {"recipes", "search", "tfmot", "mixed_precision"}
"""Pages whose examples run whole pipelines and searches, which other tests run too: for `make test-all`."""


def _pages():
    for page in filter(_examples, PAGES):
        yield pytest.param(page, id=page.stem, marks=pytest.mark.slow if page.stem in LONG else ())


@pytest.mark.parametrize("page", list(_pages()))
def test_the_examples_of_a_page_run_in_an_empty_namespace(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    names = {"__name__": "example"}
    for number, (language, block) in enumerate(_examples(page), 1):
        source = re.sub(r"\b(epochs|trials)=\d+", r"\1=1", block)
        source = re.sub(r"--trials \d+", "--trials 1", source)
        if language == "sh":
            _run_commands(source)
            continue
        if named := FILE.match(source):
            Path(named[1]).parent.mkdir(parents=True, exist_ok=True)
            Path(named[1]).write_text(source)
        exec(compile(source, f"{page.name}, example {number}", "exec"), names)


def test_the_index_lists_the_pages_of_the_navigation_under_their_titles():
    listed = re.findall(r"^  - (\w+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    titles = {name: (ROOT / "docs" / name).read_text().splitlines()[0].removeprefix("# ") for name in listed}
    index = (ROOT / "docs" / "index.md").read_text()
    assert re.findall(r"\| \[(.+)\]\((\w+\.md)\) \|", index) == [(titles[n], n) for n in listed[1:]]
    assert set(listed) == {page.name for page in (ROOT / "docs").glob("*.md")}
