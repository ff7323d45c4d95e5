"""JupyterLab's buttons, popups and saved files, in headless Chromium."""

import json
import time

import nbformat

from chromium import Browser
from graft_testing import PREFIX, Places
from lab_server import Lab
from test_browser import NOTEBOOK

TRAINING = '%model load tiny\n%data load which-book\n%lora attach r=2\n%train steps=12 eval_every=6'


def book(*cells):
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "graft", "display_name": "Rust (Graft)", "language": "rust"}})
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    return notebook


class Page:
    """A notebook opened in JupyterLab."""

    def __init__(self, places, *cells):
        self.path = places.work / "book.ipynb"
        nbformat.write(book(*cells), self.path)
        self.lab, self.browser = Lab(places, places.work), Browser(places)
        self.browser.open(self.lab.url("book.ipynb"))
        self.ready(len(cells))

    def ready(self, cells):
        self.browser.until(f"document.querySelectorAll('.jp-Notebook .jp-Cell').length >= {cells}", 90)
        self.browser.until(f"{NOTEBOOK}.sessionContext.session.kernel.status === 'idle'", 90)
        self.browser.run(f"window.jupyterapp.shell.activateById({NOTEBOOK}.id); 1")

    def choose(self, index):
        self.browser.run(f"{NOTEBOOK}.content.activeCellIndex = {index}; {NOTEBOOK}.content.mode = 'edit'; {NOTEBOOK}.content.activeCell.editor.focus(); 1")

    def run_cell(self, index):
        """Presses Shift-Enter in a cell."""
        self.choose(index)
        self.browser.key("Enter", shift=True)

    def output(self, index):
        return f"{NOTEBOOK}.content.widgets[{index}].outputArea.node"

    def status(self):
        return f"{NOTEBOOK}.sessionContext.session.kernel.status"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.browser.__exit__()
        self.lab.__exit__()


def test_a_saved_notebook_opens_with_its_figure():
    """After training and saving, the reopened page shows the figure without running any cell."""
    with Places() as places, Page(places, TRAINING) as page:
        page.run_cell(0)
        page.browser.until(f"{page.output(0)}.querySelector('img[src^=\"data:image/\"]') && {page.status()} === 'idle'", 120)
        page.browser.run(f"{NOTEBOOK}.context.save().then(() => 1)")
        outputs = json.loads(page.path.read_text())["cells"][0]["outputs"]
        assert any("image/png" in output.get("data", {}) for output in outputs), [sorted(output.get("data", {})) for output in outputs]
        page.browser.open("about:blank")
        page.browser.open(page.lab.url("book.ipynb"))
        page.ready(1)
        page.browser.until(f"{page.output(0)}.querySelector('img[src^=\"data:image/\"]').getBoundingClientRect().height > 100", 60)


def test_a_closed_lid_loses_nothing():
    """A background run continues while the page is closed. After reopening, %watch draws the whole curve and updates it, and %stop ends the run."""
    background = "%model load tiny\n%data load which-book\n%lora attach r=2\n%train bg=true steps=100000 batch=2 max_length=48 eval_every=0"
    with Places() as places, Page(places, background, "%watch", "%stop") as page:
        page.run_cell(0)
        page.browser.until(f"{page.output(0)}.innerText.includes('is training in the background') && {page.status()} === 'idle'", 60)
        page.browser.run(f"{NOTEBOOK}.context.save().then(() => 1)")
        page.browser.open("about:blank")
        time.sleep(3)
        page.browser.open(page.lab.url("book.ipynb"))
        page.ready(3)
        page.run_cell(1)
        step = f"Number(({page.output(1)}.innerText.match(/step ([\\d,]+)\\//) || [0, '0'])[1].replace(/,/g, ''))"
        page.browser.until(f"{page.output(1)}.querySelector('svg') && {step} > 20", 60)
        first = page.browser.run(step)
        page.browser.until(f"{step} > {first}", 60)
        page.browser.picture(PREFIX / "lab-watch.png")
        page.browser.click("[data-command='notebook:interrupt-kernel'], [data-jp-item-name='interrupt'] jp-button, [data-jp-item-name='interrupt'] button")
        page.browser.until(f"{page.status()} === 'idle'", 60)
        page.run_cell(2)
        page.browser.until(f"{page.output(2)}.innerText.includes('after step')", 60)


def test_a_comparison_is_watched_while_it_forms():
    """The table and curves of %ablate appear and are updated before any configuration has finished, and accuracies appear while it still runs."""
    cells = ["%model load tiny\n%data load which-book\n%ablate lora r=1,4,16 steps=36 batch=4 examples=48",
             "%prompt_tune attach num_virtual_tokens=20\n%weights", '%generate "The borrow checker" max_new_tokens=24']
    with Places() as places, Page(places, *cells) as page:
        page.run_cell(0)
        rows = f"[...{page.output(0)}.querySelectorAll('tbody tr')].map(it => it.innerText)"
        page.browser.until(f"{page.output(0)}.querySelector('svg') && {rows}.filter(it => /step \\d+ of 36/.test(it)).length === 3", 120)
        page.browser.until(f"{page.status()} === 'busy' && {rows}.some(it => /step \\d+ of 36[^]*%[^]*%/.test(it))", 120)
        page.browser.picture(PREFIX / "lab-ablate.png")
        page.browser.until(f"{page.status()} === 'idle' && {page.output(0)}.innerText.includes('untuned base')", 120)
        for index, mark in [(1, "attention to the virtual tokens:"), (2, "darker tokens")]:
            page.run_cell(index)
            page.browser.until(f"{page.status()} === 'idle' && {page.output(index)}.innerText.includes('{mark}')", 120)
            page.browser.picture(PREFIX / f"lab-ablate-{index}.png")


def test_the_buttons_stop_and_restart():
    with Places() as places, Page(places, "%model load tiny\n%data load which-book\n%lora attach r=2\n%train steps=5000", "%status") as page:
        page.run_cell(0)
        page.browser.until(f"{page.output(0)}.querySelector('svg') && {page.status()} === 'busy'", 120)
        page.browser.click("[data-command='notebook:interrupt-kernel'], [data-jp-item-name='interrupt'] jp-button, [data-jp-item-name='interrupt'] button")
        page.browser.until(f"{page.status()} === 'idle' && {page.output(0)}.innerText.toLowerCase().includes('interrupted')", 60)
        page.run_cell(1)
        page.browser.until(f"{page.output(1)}.innerText.includes('tiny')", 60)
        page.browser.click("[data-command='kernelmenu:restart'], [data-jp-item-name='restart'] jp-button, [data-jp-item-name='restart'] button")
        page.browser.until("document.querySelector('.jp-Dialog .jp-mod-accept, .jp-Dialog .jp-mod-warn')", 30)
        page.browser.click(".jp-Dialog .jp-mod-accept, .jp-Dialog .jp-mod-warn")
        page.browser.until(f"{page.status()} === 'idle' && !document.querySelector('.jp-Dialog')", 60)
        page.run_cell(1)
        page.browser.until(f"{page.output(1)}.innerText.includes('no model') || !{page.output(1)}.innerText.includes('Llama')", 60)
        page.browser.picture(PREFIX / "lab-restarted.png")


def test_tab_completes_and_shift_tab_explains():
    with Places() as places, Page(places, "%lora attach lora_al", "%train steps=5") as page:
        page.choose(0)
        page.browser.run(f"{NOTEBOOK}.content.activeCell.editor.setCursorPosition({{line: 0, column: 20}}); 1")
        page.browser.key("Tab")
        page.browser.until(f"{NOTEBOOK}.content.activeCell.model.sharedModel.source.includes('lora_alpha') || document.querySelector('.jp-Completer')?.innerText.includes('lora_alpha')", 60)
        page.choose(1)
        page.browser.run(f"{NOTEBOOK}.content.activeCell.editor.setCursorPosition({{line: 0, column: 4}}); 1")
        page.browser.key("Tab", shift=True)
        page.browser.until("document.querySelector('.jp-Tooltip')?.innerText.includes('steps')", 60)
        page.browser.picture(PREFIX / "lab-tooltip.png")


def test_notebook_7_runs_cells(places):
    """The classic page: the same kernel, the same outputs."""
    nbformat.write(book("%model load tiny", "%params"), places.work / "book.ipynb")
    with Lab(places, places.work, "jupyter-notebook") as server, Browser(places) as browser:
        server.begin("book.ipynb")
        browser.open(server.url("book.ipynb").replace("/lab/tree/", "/notebooks/"))
        browser.until("document.querySelectorAll('.jp-Notebook .jp-Cell').length >= 2", 90)
        browser.until("document.body.innerText.includes('Rust (Graft)')", 60)
        for index in range(2):
            browser.until(f"document.querySelectorAll('.jp-Notebook .jp-CodeCell .cm-content').length > {index}", 60)
            output = f"document.querySelectorAll('.jp-Notebook .jp-CodeCell')[{index}].querySelector('.jp-OutputArea-output')"
            # On a busy machine, the page accepts keys before its shortcuts are registered, so the key is pressed again; the cell may run twice.
            for _attempt in range(6):
                browser.run(f"document.querySelectorAll('.jp-Notebook .jp-CodeCell .cm-content')[{index}].focus(); 1")
                browser.key("Enter", shift=True)
                if browser.comes(output, 20):
                    break
            assert browser.comes(output, 1), browser.run("document.body.innerText.slice(-3000)")
        browser.until("document.querySelector('.jp-OutputArea table') && document.body.innerText.includes('embed_tokens')", 60)
        browser.picture(PREFIX / "notebook-7.png")
