"""Keeps the wording of the project plain: at most one finding in 100 lines of prose, on each surface.

A finding is a phrase that native readers of technical English stumble over. Rewrite the sentence rather than replace the word.
"""

import json
import os
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_PER_100_LINES = 1.0

# What to write instead -> the phrases, as regular expressions.
PHRASES = {
    "is not a …": [r"(is|are|was|were|it is) no (?!longer|more\b|one\b|need\b|way\b|such\b|\w+ (left|found|available|yet)\b)"],
    "next to, in addition to, compared with": [r"beside(?!s)"],
    "reports, shows, distinguishes": [r"(is|are|was|were|be) told", r"tells? (how|what|which|whether|of|apart)", r"says? (what|which|how|whether|so|not)"],
    "is (not) available": [r"can(not)? be had", r"is to be had"],
    "continues, resumes": [r"go(es)? on (with|behind|from|where|to)", r"goes on"],
    "is in, contains": [r"stands? (in|at|on|beside|behind|where|there|as|for itself)", r"l(ies?|ay) (in|at|beside|under|there|behind)"],
    "after, following": [r"behind (it|them|that|each|every|the|a|this|any)"],
    "GPU, README": [r"cards?(?! (file|game))"],
    "the CPU": [r"the processor"],
    "environment, configuration": [r"surroundings"],
    "reaped, cleaned up": [r"buried", r"burial", r"bury"],
    "external; your own": [r"from elsewhere", r"of your own"],
    "saved to": [r"kept in"],
    "must be, expects, needs": [r"wants? (a|an|to be|rows|no|its)"],
    "inspected, expected": [r"have a look", r"looked at", r"one should see"],
    "fixed": [r"mend(ed)?"],
    "no one, everyone, or name who": [r"nobody", r"everybody", r"somebody"],
    "training, a run, training runs": [r"a training", r"trainings"],
    "one after another, alternately": [r"in turn"],
    "has no": [r"knows? (no|nothing)"],
    "compensates for": [r"makes? (up )?for"],
    "name the thing": [r"such a one", r"the same again", r"the like", r"as it does so", r"does so"],
    "expensive": [r"dear( ones)?"],
    "of it, in it": [r"thither", r"hither", r"whereof", r"thereof", r"wherein", r"herein"],
    "stopped early, discarded": [r"(given|gives?) up"],
    "is queued, waits for …": [r"waits"],
    "partial": [r"half-way"],
}
FINDERS = [(re.compile(rf"\b({'|'.join(phrases)})\b", re.IGNORECASE), instead) for instead, phrases in PHRASES.items()]
SKIPPED_FOLDERS = {"target", ".git", "node_modules", "assets", "goldens", "python", ".graft", ".ipynb_checkpoints"}


def lines_of_rust(text):
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line.startswith(("///", "//!")):
            yield "docs", number, line[3:]
        elif line.startswith("//"):
            yield "comments", number, line[2:]
        else:
            for literal in re.findall(r'"((?:[^"\\]|\\.)*)"', line):
                if literal.count(" ") >= 2:
                    yield "strings", number, literal


def lines_of_markdown(text):
    is_code = False
    for number, line in enumerate(text.splitlines(), 1):
        is_code ^= line.startswith("```")
        if not is_code and line.strip():
            yield "markdown", number, line


def lines_of_notebook(text):
    for number, cell in enumerate(json.loads(text)["cells"]):
        if cell["cell_type"] == "markdown":
            for line in "".join(cell["source"]).splitlines():
                if line.strip():
                    yield "notebooks", number, line


READERS = {".rs": lines_of_rust, ".md": lines_of_markdown, ".ipynb": lines_of_notebook}


def findings():
    """Lines read on each surface, and the lines with a finding."""
    read, found = defaultdict(int), defaultdict(list)
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        for path in (Path(folder) / name for name in files):
            # Tests hold deliberately odd input; the pages in the folder `tests` are prose.
            is_test = path.name == "tests.rs" or "tests" in path.relative_to(ROOT).parts[1:-1]
            if path.suffix not in READERS or is_test:
                continue
            for surface, number, line in READERS[path.suffix](path.read_text(encoding="utf-8", errors="replace")):
                read[surface] += 1
                hits = [f"`{match.group(0)}` ({instead})" for finder, instead in FINDERS if (match := finder.search(line))]
                if hits:
                    found[surface].append(f"{path.relative_to(ROOT)}:{number}: {', '.join(hits)}: {line.strip()[:100]}")
    return read, found


@pytest.fixture(scope="module")
def surfaces():
    return findings()


@pytest.mark.parametrize("surface", ["docs", "comments", "strings", "markdown", "notebooks"])
def test_wording_is_plain(surfaces, surface):
    read, found = surfaces
    assert read[surface] > 100, f"only {read[surface]} lines of {surface} were found"
    share = 100 * len(found[surface]) / read[surface]
    assert share <= MOST_PER_100_LINES, f"{share:.1f} findings in 100 lines of {surface}:\n" + "\n".join(found[surface])


@pytest.mark.parametrize(
    "sentence, is_plain",
    [
        ("The value is no number.", False),
        ("The value is no longer valid.", True),
        ("The table stands beside the plot.", False),
        ("The table is next to the plot.", True),
        ("Besides, there is no such file.", True),
        ("An odd card lies in the drawer.", False),
    ],
)
def test_the_finders_find_what_they_should(sentence, is_plain):
    assert is_plain == (not any(finder.search(sentence) for finder, _ in FINDERS))
