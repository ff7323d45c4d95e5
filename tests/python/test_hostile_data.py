"""Control characters in data are shown as symbols, and paths that are not files are rejected at once."""

import json
import os
import re

from graft_testing import graft

CLIPBOARD = "\x1b]52;c;cm0gLXJm\x07"
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
ROWS = [{"text": f"{CLIPBOARD}number {row}\u202e", "label": ["a\x9b2J", "b\x1b[8m"][row % 2]} for row in range(20)]


def test_escape_sequences_of_data_do_not_reach_a_terminal(places):
    (places.work / "evil.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    (places.work / "job.graft").write_text("%data load evil.jsonl\n%data show\n%data load evil.jsonl format=csv\n")
    done = graft("run", "job.graft", places=places, check=False)
    shown = done.stdout + done.stderr
    assert "␛]52;c;cm0gLXJm␇number" in done.stdout and "\\u{202e}" in done.stdout, shown
    assert not HIDDEN.search(shown), repr(HIDDEN.search(shown))


def test_escape_sequences_of_data_do_not_reach_a_notebook(kernel):
    (kernel.places.work / "evil.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    kernel.run("%data load evil.jsonl")
    [display] = kernel.run("%data show").displays
    for kind in ("text/plain", "text/html"):
        assert "␛]52;c;" in display.data[kind] and not HIDDEN.search(display.data[kind]), display.data[kind]
    cell = kernel.fail(f"%data show '{CLIPBOARD}'", "␛]52;c;")
    assert not HIDDEN.search(cell.error["evalue"]), cell.error


def test_what_is_not_a_regular_file_is_refused_at_once(kernel):
    os.mkfifo(kernel.places.work / "pipe.jsonl")
    for line in ("%data load pipe.jsonl", "%run pipe.jsonl", "%load pipe.jsonl"):
        kernel.fail(line, "named pipe", timeout=30)
    for line in ("%data load /dev/zero", "%run /dev/zero", "%load /dev/zero"):
        kernel.fail(line, "device", timeout=30)
    kernel.fail("%data load .", "pipe.jsonl", "named pipe", timeout=30)
    (kernel.places.work / "empty").mkdir()
    for line in ("%data load empty", "%run empty"):
        kernel.fail(line, "folder", timeout=30)
