"""Data as people have it: columns, formats, splits, folders and the Hugging Face Hub."""

import contextlib
import http.server
import json
import re
import threading

from graft_testing import Kernel, Places

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is 2 + 2?"},
    {"role": "assistant", "content": "4"},
]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_files_with_the_columns_that_people_have(kernel):
    """Alpaca, question and answer, reviews, pairs, preferences and both kinds of conversations are recognized."""
    shapes = {
        "alpaca.json": ([{"instruction": "Add.", "input": "1 2", "output": "3"}] * 10, "`instruction` as prompt"),
        "qa.jsonl": ([{"question": "2 + 2?", "answer": "4"}] * 10, "`question` as prompt, `answer` as completion"),
        "reviews.jsonl": ([{"review": f"film {i}", "sentiment": ["good", "bad"][i % 2]} for i in range(10)], "`review` as text"),
        "pairs.jsonl": ([{"premise": "a", "hypothesis": f"b {i}", "label": i % 2} for i in range(10)], "pairs of texts with 2 labels"),
        "prefs.jsonl": ([{"prompt": "a", "chosen": "b", "rejected": "c"}] * 10, "chosen and rejected answers"),
        "chat.jsonl": ([{"messages": CHAT}] * 10, "conversations"),
        "share.json": ([{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}] * 10, "`conversations` as messages"),
    }
    for name, (rows, expected) in shapes.items():
        text = json.dumps(rows, indent=1) if name.endswith(".json") else lines(rows)
        (kernel.places.work / name).write_text(text)
        assert expected in kernel.run(f"%data load {name}").text, name
        assert kernel.run("%data show n=1").text.strip()
    assert "assistant: Hello" in kernel.run("%data show n=1").text


def test_other_columns_and_bad_rows(kernel):
    """Unknown columns are named with the key to type, which then works; bad rows are named, and skipped on request."""
    (kernel.places.work / "mine.csv").write_text("headline;topic\nrain again;weather\n;weather\nno goals;sport\n")
    kernel.fail("%data load mine.csv", "line 2 has no `text`", "columns=text:headline,label:topic")
    kernel.fail("%data load mine.csv columns=text:headlin,label:topic", "did you mean columns=text:headline")
    kernel.fail("%data load mine.csv columns=text:headline,label:topic", "line 3.*empty", "skip_bad=true")
    reply = kernel.run("%data load mine.csv columns=text:headline,label:topic skip_bad=true").text
    assert "`headline` as text, `topic` as label" in reply and "skipped 1 bad row" in reply, reply
    kernel.run('println!("{:?}", lab().data(None)?.examples("train").len());')


def test_files_of_splits_and_folders(kernel):
    row = lambda number: {"text": f"text {number}", "label": ["x", "y"][number % 2]}
    folder = kernel.places.work / "set"
    folder.mkdir()
    for name, count in (("train", 8), ("dev", 4), ("test", 6)):
        (folder / f"{name}.jsonl").write_text(lines(map(row, range(count))))
    expected = "8 training, 4 validation and 6 test examples"
    assert expected in kernel.run("%data load set").text
    assert expected in kernel.run("%data load train=set/train.jsonl validation=set/dev.jsonl test=set/test.jsonl").text
    assert "3 training, 3 validation and 3 test" in kernel.run("%data load set limit=3 shuffle=true").text
    rust = kernel.run("%data load set/train.jsonl validation=set/dev.jsonl --rust").text
    assert 'validation_file("set/dev.jsonl")' in rust, rust


def test_training_on_conversations_names_what_is_missing(kernel):
    (kernel.places.work / "chat.jsonl").write_text(lines([{"messages": CHAT}] * 10))
    kernel.run("%model load tiny\n%data load chat.jsonl\n%lora attach r=2")
    cell = kernel.start("%train steps=1").wait()
    assert cell.status == "ok" or re.search("chat template", cell.failure), cell.failure


@contextlib.contextmanager
def mirror(files):
    """A mirror of the Hub with the data set `o/n`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.split("/resolve/main/", 1)[-1]
            if self.path.startswith("/api/datasets/o/n"):
                body = json.dumps({"sha": "abc", "siblings": [{"rfilename": name} for name in files]}).encode()
                self.send_response(200)
            elif self.path.startswith("/datasets/o/n/resolve/main/") and name in files:
                body = files[name]
                first, last = (self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")
                size = len(body)
                body = body[int(first) : int(last or size - 1) + 1]
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{int(first) + len(body) - 1}/{size}")
            else:
                body = b"no"
                self.send_response(404)
            self.send_header("x-repo-commit", "abc")
            self.send_header("ETag", f'"{abs(hash(self.path))}"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def test_a_data_set_of_the_hub():
    """A data set is downloaded from a mirror, and read from the cache when the mirror is gone."""
    rows = lambda count: lines({"text": f"text {i}", "label": ["x", "y"][i % 2]} for i in range(count)).encode()
    files = {"README.md": b"#", "data/train-0.jsonl": rows(10), "data/test-0.jsonl": rows(4), "../../out.jsonl": rows(1)}
    expected = "10 training, 0 validation and 4 test examples"
    places = Places()
    try:
        with mirror(files) as address:
            environment = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": ""}
            with Kernel(places=places, env=environment) as kernel:
                assert expected in kernel.run("%data load o/n").text
                kernel.fail("%data load o/nothing", "no such data set")
                kernel.fail("%data load o/n subset=x", "no subset `x`")
        with Kernel(places=places, env=environment) as kernel:
            again = kernel.run("%data load o/n").text
            assert expected in again and "local cache" in again, again
    finally:
        places.remove()
