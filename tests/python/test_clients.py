"""Clients that people use: papermill, nbconvert, jupyter console."""

import json
import shutil
import subprocess
import time

import nbformat
import pexpect

from graft_testing import ANSI, ANSWER, GRAFT, PREFIX, ROOT

JUPYTER = PREFIX / "bin" / "jupyter"


def specs(places):
    """An environment in which Jupyter finds the installed kernel spec."""
    return places.environment(JUPYTER_PATH=str(PREFIX / "share" / "jupyter"))


def notebook(*cells):
    book = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "graft", "display_name": "Rust (Graft)", "language": "rust"}})
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    return book


def run(places, *words):
    done = subprocess.run([str(word) for word in words], env=specs(places), cwd=places.work, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done


def test_papermill_runs_a_notebook(places):
    nbformat.write(notebook("%model load tiny", "%lora attach r=2", "let answer = 6 * 7;\nanswer"), places.work / "in.ipynb")
    run(places, PREFIX / "bin" / "papermill", "in.ipynb", "out.ipynb", "--no-progress-bar")
    cells = [cell for cell in nbformat.read(places.work / "out.ipynb", as_version=4).cells if cell.cell_type == "code"]
    assert cells[-1].outputs[-1]["data"]["text/plain"] == "42", cells[-1].outputs
    assert [cell.execution_count for cell in cells] == [1, 2, 3]


def test_papermill_passes_parameters(places):
    # As the wheel of the kernel installs it.
    site = places.folder("site")
    shutil.copytree(ROOT / "kernel" / "python" / "graft_kernel", site / "graft_kernel")
    info = site / "graft_kernel-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: graft-kernel\nVersion: 0.1.0\n")
    shutil.copy(site / "graft_kernel" / "entry_points.txt", info)
    book = notebook('let rank: i64 = 8;\nlet lr = 1e-2; // learning rate\nlet name = "none";', "%model load tiny", "%lora attach r={rank}", "%lora list", 'println!("{lr} {name} {targets:?} {more}");')
    book.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(book, places.work / "in.ipynb")
    parameters = {"rank": 4, "lr": 1e-3, "name": 'a "b" {c}\n', "targets": ["q_proj", "v_proj"], "more": {"deep": [1, None]}}
    (places.work / "parameters.json").write_text(json.dumps(parameters))
    words = [PREFIX / "bin" / "papermill", "in.ipynb", "out.ipynb", "--no-progress-bar", "-f", "parameters.json"]
    done = subprocess.run([str(word) for word in words], env={**specs(places), "PYTHONPATH": str(site)}, cwd=places.work, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    cells = [cell for cell in nbformat.read(places.work / "out.ipynb", as_version=4).cells if cell.cell_type == "code"]
    assert "injected-parameters" in cells[1].metadata["tags"] and "let rank: i64 = 4;" in cells[1].source, cells[1]
    assert "r=4" in cells[-2].outputs[-1]["data"]["text/plain"], cells[-2].outputs
    assert cells[-1].outputs[0]["text"] == '0.001 a "b" {c}\n ["q_proj", "v_proj"] {"deep":[1,null]}\n', cells[-1].outputs
    listed = subprocess.run([str(PREFIX / "bin" / "papermill"), "--help-notebook", "in.ipynb"], env={**specs(places), "PYTHONPATH": str(site)}, cwd=places.work, capture_output=True, text=True, timeout=100)
    assert "rank: i64" in listed.stdout and "learning rate" in listed.stdout, listed.stdout + listed.stderr


def test_nbconvert_runs_and_draws_a_page(places):
    nbformat.write(notebook("%model load tiny", "%params", 'lab().display(&graft::Latex("$y = Wx$".into()));'), places.work / "book.ipynb")
    run(places, JUPYTER, "nbconvert", "--to", "html", "--execute", "book.ipynb")
    page = (places.work / "book.html").read_text()
    assert "embed_tokens" in page and "$y = Wx$" in page and "stderr" not in page.split("<body")[1].replace("jp-RenderedText", "")


def test_a_console_runs_cells_and_completes(places):
    console = pexpect.spawn(str(JUPYTER), ["console", "--kernel", "graft", "--simple-prompt"], env={**specs(places), "TERM": "dumb"}, cwd=str(places.work), encoding="utf-8", timeout=ANSWER)
    console.expect("In ")
    console.sendline("%seed 77")
    console.expect("77")
    console.sendline("6 * 7")
    console.expect("42", timeout=300)
    console.sendline("undefined_name")
    console.expect("cannot find value", timeout=300)
    console.sendeof()
    console.expect("exit")
    console.sendline("y")
    console.expect(pexpect.EOF)


def test_a_second_client_sees_what_the_first_runs(kernel):
    """JupyterLab's console next to a notebook: a second client of the same kernel gets every output, with the parent header of the first client's request."""
    kernel.run("%model load tiny")
    other = kernel.manager.client()
    other.start_channels()
    other.wait_for_ready(timeout=ANSWER)
    time.sleep(0.3)
    cell = kernel.run("%status")
    seen, end = [], time.monotonic() + ANSWER
    while "idle" not in seen and time.monotonic() < end:
        message = other.get_iopub_msg(timeout=ANSWER)
        if message["parent_header"].get("msg_id") == cell.msg_id:
            seen.append(message["content"].get("execution_state", message["msg_type"]))
    assert seen == ["busy", "execute_input", "display_data", "idle"], seen
    other.stop_channels()


def test_the_terminal_runs_what_a_notebook_runs(places):
    """`graft run` on a notebook file itself."""
    nbformat.write(notebook("%model load tiny", "println!(\"{}\", 6 * 7);"), places.work / "book.ipynb")
    done = subprocess.run([str(GRAFT), "run", "book.ipynb"], env=places.environment(), cwd=places.work, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "42" in ANSI.sub("", done.stdout), (done.stdout, done.stderr)
