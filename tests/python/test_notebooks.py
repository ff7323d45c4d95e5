"""The tutorials, executed with the clients that users have."""

import re
import subprocess

import nbformat
from nbclient import NotebookClient

from graft_testing import KERNEL_NAME, LONG, PREFIX, ROOT, Places
from test_encoder import minilm

NOTEBOOKS = ROOT / "notebooks"
# `steps=80` in a magic, `.key("steps", "80")` and `.steps(80)` in a Rust cell.
STEPS = re.compile(r'(\bsteps=|"steps", "|\.steps\()(\d+)')
# The fast setting divides every number of steps by this and changes nothing else; `--long` runs the notebooks unchanged.
FAST = 1 if LONG else 5
FEWEST_STEPS = 12


def execute(name, models=None, fast=FAST):
    """Executes a notebook from top to bottom in a private folder, next to `models`, and returns it with its outputs.

    Every line that trains takes `fast` times fewer steps; everything else is unchanged.
    """
    with Places() as places:
        if models:
            (places.work / "models").symlink_to(models)
        notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
        nbformat.validate(notebook)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.source = STEPS.sub(lambda found: found[1] + fewer(int(found[2]), fast), cell.source)
        client = NotebookClient(notebook, timeout=900, kernel_name=KERNEL_NAME, resources={"metadata": {"path": str(places.work)}})
        client.execute(env=places.environment(JUPYTER_PATH=str(PREFIX / "share" / "jupyter")))
        return notebook


def fewer(steps, fast):
    return str(min(steps, max(FEWEST_STEPS, steps // fast)))


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def check(notebook):
    """Checks that only intended errors occur, that stderr is empty, and that every figure also has its PNG and text forms."""
    for cell in notebook.cells:
        failed = [output for output in cell.get("outputs", []) if output.output_type == "error"]
        assert bool(failed) == ("raises-exception" in cell.metadata.get("tags", [])), (cell.source, failed)
    for output in outputs(notebook):
        assert not (output.output_type == "stream" and output.name == "stderr"), output.text
        # A drawing made by a cell (`lab().draw`) is only an SVG.
        if "image/svg+xml" in output.get("data", {}) and output.data["text/plain"] != "SVG drawing":
            assert "image/png" in output.data and "text/plain" in output.data
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip())


def test_first_adapter():
    notebook = execute("01-first-adapter.ipynb")
    check(notebook)
    assert sum("image/svg+xml" in output.get("data", {}) for output in outputs(notebook)) >= 2, "two training runs must give two figures"


def test_magics_and_rust():
    check(execute("02-magics-and-rust.ipynb"))


def test_rust_kernel_tour():
    check(execute("03-rust-kernel-tour.ipynb"))


def test_why_peft():
    notebook = execute("04-why-peft.ipynb", fast=1)
    check(notebook)
    # The notebook says about twenty times; a factor of three keeps the statement from being false.
    table = next(output.data["text/plain"] for output in outputs(notebook) if "forgetting of rust-docs, 2 seeds" in str(output.get("data", {}).get("text/plain", "")))
    lost = {name: float(re.search(rf"{name} lr=1e-3 .*?([\d.]+) +[\d.]+ +done", table).group(1)) for name in ["lora", "full"]}
    assert lost["full"] > 3 * lost["lora"] > 0, table


def test_lora_from_scratch():
    check(execute("05-lora-from-scratch.ipynb"))


def test_rank_ablation():
    notebook = execute("06-rank-ablation.ipynb")
    check(notebook)
    tables = [output.data["text/plain"] for output in outputs(notebook) if "untuned base" in str(output.get("data", {}).get("text/plain", ""))]
    assert len(tables) >= 4 and all("lora r=1" in table or "full" in table or "only one of 4" in table for table in tables), tables
    assert sum("stopped early at step" in table for table in tables) == 1, tables
    assert any("image/png" in output.get("data", {}) and "lora_B" in output.data["text/plain"] for output in outputs(notebook)), "no heat map"


def test_additive_methods():
    check(execute("07-additive-methods.ipynb"))


def test_prompt_tuning():
    check(execute("08-prompt-tuning.ipynb"))


def test_selective():
    check(execute("09-selective.ipynb"))


def test_choosing_a_method():
    check(execute("10-choosing-a-method.ipynb"))


def test_bring_your_model():
    minilm(PREFIX / "minilm")
    check(execute("11-bring-your-model.ipynb", models=PREFIX / "minilm"))


def test_qlora():
    check(execute("12-qlora.ipynb"))


def test_chat():
    notebook = execute("13-chat.ipynb")
    check(notebook)
    text = "\n".join(str(output.get("data", {}).get("text/plain", "")) for output in outputs(notebook))
    untrained, base, trained = re.findall(r"([\d.]+) %", " ".join(re.findall(r"exact_match (.*)", text)))
    assert float(untrained) == float(base) == 0 and float(trained) >= 90, (untrained, base, trained)


def test_saved_notebooks_are_valid_and_carry_outputs():
    """The stored notebooks, which websites show without running them."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        assert notebook.metadata.kernelspec.name == "graft" and notebook.metadata.kernelspec.language == "rust"
        assert all(cell.get("id") for cell in notebook.cells)
        check(notebook)


def test_nbconvert_keeps_the_figures(places):
    """The page that nbconvert makes from the stored notebook contains its figures."""
    words = ["jupyter-nbconvert", "--to", "html", "--output-dir", str(places.work), str(NOTEBOOKS / "01-first-adapter.ipynb")]
    subprocess.run([str(PREFIX / "bin" / words[0]), *words[1:]], env=places.environment(), check=True, capture_output=True)
    page = (places.work / "01-first-adapter.html").read_text()
    assert "<svg" in page or "data:image/png;base64" in page
