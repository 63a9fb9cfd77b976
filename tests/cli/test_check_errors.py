"""Every problem that `obskit check` can tell of stands in `tests/cli/check_errors`, with a definition that has it.

`python tests/cli/test_check_errors.py` writes what is printed anew; read the diff before committing it.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from typer.testing import CliRunner

import obskit
from obskit.cli import app

PAGES = Path(__file__).parent / "check_errors"
PACKAGE = Path(obskit.__file__).parent
ROOMS = ("alerts", "resources", "dashboards", "queries")
MODULES = sorted(
    [path for room in ROOMS for path in (PACKAGE / room).rglob("*.py")]
    + [PACKAGE / "sync" / "load.py", PACKAGE / "cli" / "check.py"]
)
# Prose of those modules that no problem is made of, and problems of other commands than `obskit check`: how it begins.
NOT_PRINTED = {
    # what a policy, a chart or a query is made of
    "alerts/selectors.py": ["metric.type="],
    "dashboards/panels.py": ["Open incidents"],
    "dashboards/thresholds.py": ["alert: "],
    "queries/checks.py": ["abs absent"],
    "queries/backtracking.py": ["the regular expression may take", "Write repetitions whose"],  # Google takes them
    "queries/metric_filters.py": ["NOT "],
    "queries/metrics.py": [") unless present", ")) or increase(", ") (rate(", "histogram_quantile({}, sum", "{} by ("],
    "queries/promql.py": [" offset ", " on ("],
    "queries/promql_types.py": ["sum min max"],
    # what alerts that come with SLOs and checks say
    "resources/burn_rates.py": [
        "burn rate over",
        "{}: {} of the error budget",
        "`{}` breaks its promise",
        "The SLO's page",
        "What changed then",
        "Undo it",
    ],
    "resources/request_burn_rates.py": [
        "requests do not fail",
        "requests are answered",
        "sum by (",
        ") (increase(",
        "{} of the error budget",
        "burn rate above",
        "The promise is",
        "The service's dashboard",
        "What changed then",
        "Undo it",
    ],
    "resources/uptime_alerts.py": [
        "{} does not answer",
        "{} fails from",
        "The uptime check",
        "Ask for the page",
        "The service's latest",
        "What it needs",
        "the service",
        "{}: certificate ends",
        "fewer than",
        "The TLS certificate",
        "Who renews it",
        "The name's DNS",
        "Renew by hand",
    ],
    # the command's own help
    "cli/check.py": ["Stack to check", "Project to", "Export route", "What is on stdout", "The same as"],
    # sync alone reads secrets and chooses a stack's variant; import alone reads JSON
    "queries/context.py": ["Secret Manager", "{} was not read", "Grant roles/secretmanager.secretAccessor"],
    "queries/definitions.py": [
        "is left out in stack",
        "Name a stack that has it",
        # where a value's parser says no way out, as all of obskit's do
        "See the field's description",
        "See the function's description",
    ],
    "queries/reading.py": ["{} is not an object of the REST API", "Give the JSON object"],
    # a name that importlib has no loader for, as none of the *.py that are looked for
    "sync/load.py": ["cannot be imported", "Give it a module's name"],
}
_BLOCK = re.compile(
    r"^```(?P<kind>python|toml|console)(?: (?P<name>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A bad definition, and what is said about it.

    Attributes:
        title: its heading.
        text: all of it, heading and blocks.
        files: path → text.
        arguments: of `obskit check`.
        printed: what the page says that it prints.
    """

    title: str
    text: str
    files: dict[str, str]
    arguments: tuple[str, ...]
    printed: str

    def run(self) -> tuple[int, str]:
        """Return the exit code of `obskit check` in a folder with the files, and what it prints."""
        unset = dict.fromkeys(set(os.environ) - {"PATH", "HOME"})
        with TemporaryDirectory() as folder, chdir(folder):
            for name, text in self.files.items():
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                Path(name).write_text(text)
            done = CliRunner().invoke(app, ["check", *self.arguments], env={**unset, "NO_COLOR": "1"})
        return done.exit_code, (done.output or f"{done.exception}\n").replace(str(Path(folder).resolve()), "FOLDER")

    def rewritten(self) -> str:
        """Return its text with what is printed now."""
        return _BLOCK.sub(self._block, self.text)

    def _block(self, block: re.Match[str]) -> str:
        if block["kind"] != "console":
            return block[0]
        command = block["text"].partition("\n")[0]
        return f"```console\n{command}\n{self.run()[1]}```"


def entries(page: Path) -> list[Entry]:
    """Return the entries of a page."""
    sections = re.split(r"^(?=## )", page.read_text(), flags=re.MULTILINE)[1:]
    return [_entry(page, section) for section in sections]


def _entry(page: Path, section: str) -> Entry:
    files: dict[str, str] = {}
    command = printed = ""
    for block in _BLOCK.finditer(section):
        if block["kind"] == "console":
            command, _, printed = block["text"].partition("\n")
        else:
            usual = "pyproject.toml" if block["kind"] == "toml" else f"alerts/{page.stem}.py"
            files[block["name"] or usual] = block["text"]
    title = section.partition("\n")[0].removeprefix("## ")
    arguments = tuple(command.removeprefix("$ obskit check").split())
    return Entry(title=title, text=section, files=files, arguments=arguments, printed=printed)


def said_by(source: str) -> Iterator[tuple[int, str]]:
    """Return the sentences and parts of sentences in a module's code, each with its line; values stand as NUL.

    Docstrings are left out, and so are texts that are not prose: a single word, a name.
    """
    tree = ast.parse(source)
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Unreadable":  # a reader's, and caught there
            skipped |= {id(part) for part in node.args}
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            skipped |= {id(part.format_spec) for part in node.values if isinstance(part, ast.FormattedValue)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if " " in text.strip() and re.search(r"[A-Za-z]{2}", text):
            yield node.lineno, text


def is_printed(sentence: str, lines: str) -> bool:
    """Return whether a sentence of the code stands in what is printed, each value as any text of one line.

    Args:
        sentence: as in the code; a problem and its way out stand on the two sides of a bar.
        lines: what is printed.
    """
    parts = [part.strip() for part in sentence.split(" | ") if part.strip("\0 ")]
    patterns = [".*?".join(re.escape(piece) for piece in part.split("\0")) for part in parts]
    return all(re.search(rf"(?<!\w){pattern}(?!\w)", lines) for pattern in patterns)


PAGE_NAMES = sorted(path.stem for path in PAGES.glob("*.md"))


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_every_bad_definition_is_told_of_as_on_its_page(name):
    """What `obskit check` prints for each definition of a page is what the page says, and never a traceback."""
    found = entries(PAGES / f"{name}.md")
    assert found
    for entry in found:
        code, printed = entry.run()
        assert printed == entry.printed, entry.title
        assert "Traceback" not in printed, entry.title
        assert code == (0 if " 0 problems" in printed else 1), entry.title


def missing(modules: list[Path], lines: str) -> list[str]:
    """Return the sentences of some modules that are not among printed lines, each with its place."""
    return [
        f"{path.relative_to(PACKAGE)}:{line}: {sentence.replace(chr(0), '{}')}"
        for path in modules
        for line, sentence in said_by(path.read_text())
        # What is ready-made is full of prose; its problems are those of its arguments.
        if (path.parent.name != "ready" or " | " in sentence) and not is_printed(sentence, lines)
    ]


def is_listed(place: str) -> bool:
    """Return whether a missing sentence is one of `NOT_PRINTED`."""
    module, _, sentence = place.split(":", 2)
    return any(sentence.removeprefix(" ").startswith(start) for start in NOT_PRINTED.get(module, ()))


PRINTED = "\n".join(entry.printed for name in PAGE_NAMES for entry in entries(PAGES / f"{name}.md"))


def test_every_problem_that_the_code_can_tell_of_is_on_a_page():
    """A sentence of the code that no page prints is one that nobody has read: add a definition that has it."""
    assert [place for place in missing(MODULES, PRINTED) if not is_listed(place)] == []


def test_what_is_listed_as_not_printed_is_in_the_code():
    """The list of exceptions holds nothing that is gone, or is printed meanwhile."""
    found = missing(MODULES, PRINTED)
    assert [
        (module, start)
        for module, starts in NOT_PRINTED.items()
        for start in starts
        if not any(place.split(":", 2)[0] == module and place.split(":", 2)[2][1:].startswith(start) for place in found)
    ] == []


def test_the_sentences_of_the_code_are_found():
    """The search sees hundreds of sentences, and each of them is missed where it is printed no more."""
    found = [sentence for path in MODULES for _, sentence in said_by(path.read_text())]
    assert len(found) > 500
    assert '\0 is not a duration | Write for example "90s", "5m" or "1h30m"' in found
    durations = [PACKAGE / "queries" / "durations.py"]
    assert missing(durations, PRINTED) == []
    assert len(missing(durations, PRINTED.replace("is not a duration", "is no duration"))) == 1


@pytest.mark.parametrize(
    "code",
    [
        'raise ValueError(f"{value!r} is not a colour of the rainbow | Write for example red")',
        'yield "the rainbow is empty", "Add colours=…"',
        'self.problem(f"the rainbow has {count} colours", "Use seven")',
        'found.append("the rainbow has no end")',
    ],
)
def test_a_new_problem_is_missed(code):
    """However it is written, a new sentence is not among those of the pages."""
    found = [sentence for _, sentence in said_by(code)]
    assert found
    assert not all(is_printed(sentence, PRINTED) for sentence in found)


if __name__ == "__main__":
    for page in PAGES.glob("*.md"):
        head = page.read_text().partition("## ")[0]
        page.write_text(head + "".join(entry.rewritten() for entry in entries(page)))
