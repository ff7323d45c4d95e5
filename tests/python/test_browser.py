"""JupyterLab in headless Chromium: checks what is on the page, not what was sent to it."""

import shutil

import nbformat

from chromium import Browser
from graft_testing import PREFIX, ROOT
from lab_server import Lab

# The widget of the notebook, which a user would click first.
NOTEBOOK = "[...window.jupyterapp.shell.widgets('main')].find(it => it.sessionContext)"

# Counts the pixels of an image that differ from its corner: an empty image has almost none.
INKED = """
async (image) => {
  await image.decode();
  const canvas = document.createElement('canvas');
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  const pen = canvas.getContext('2d');
  pen.drawImage(image, 0, 0);
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  let different = 0;
  for (let i = 0; i < pixels.length; i += 4)
    if (Math.abs(pixels[i] - pixels[0]) + Math.abs(pixels[i + 1] - pixels[1]) + Math.abs(pixels[i + 2] - pixels[2]) > 60) different++;
  return different;
}
"""


def test_first_adapter(places):
    """Notebook 01 in JupyterLab: the plot is updated during training and is an image at the end, and no cell shows an error."""
    shutil.copy(ROOT / "notebooks" / "01-first-adapter.ipynb", places.work)
    strip(places.work / "01-first-adapter.ipynb")
    with Lab(places, places.work) as lab, Browser(places) as page:
        page.open(lab.url("01-first-adapter.ipynb"))
        page.until("document.querySelectorAll('.jp-Notebook .jp-Cell').length > 5", 90)
        page.until(f"{NOTEBOOK}.sessionContext.session.kernel.status === 'idle'", 90)
        page.run(f"window.jupyterapp.shell.activateById({NOTEBOOK}.id); 1")
        page.run("window.finished = null; window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => window.finished = true); 1")
        page.until("[...document.querySelectorAll('.jp-OutputArea svg')].some(it => it.querySelectorAll('path, polyline').length > 0 && it.getBoundingClientRect().height > 80)", 300)
        page.picture(PREFIX / "lab-live.png")
        page.until("window.finished !== null", 900)
        assert page.run("document.querySelectorAll('.jp-OutputArea [data-mime-type=\"application/vnd.jupyter.error\"], .jp-OutputArea [data-mime-type=\"application/vnd.jupyter.stderr\"]').length") == 0
        figures = "[...document.querySelectorAll('.jp-OutputArea img')].filter(it => it.src.startsWith('data:image/'))"
        assert page.run(f"{figures}.length") >= 2, "two training runs must give two figures"
        for index in range(page.run(f"{figures}.length")):
            page.run(f"{figures}[{index}].scrollIntoView({{block: 'center'}}); 1")
            width, height = page.run(f"(() => {{ const box = {figures}[{index}].getBoundingClientRect(); return [box.width, box.height]; }})()")
            assert width > 200 and height > 100, (width, height)
            assert page.run(f"({INKED})({figures}[{index}])") > 500, "the figure is empty"
            page.picture(PREFIX / f"lab-figure-{index}.png")
        assert page.run("document.querySelectorAll('.jp-OutputArea table').length") >= 1, "the parameter table is not on the page"


def strip(path):
    """Removes the stored outputs, so that all outputs found later were created by this test."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, path)
