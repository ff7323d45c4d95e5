"""Executes a notebook from top to bottom: `execute_notebook.py NOTEBOOK [--figures] [--save]`.

--figures prints what each cell shows, pictures as their text twins; --save stores the outputs in the notebook. The first error ends it with code 1.
"""

import argparse
import pathlib
import re
import sys
import tempfile
import time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def shown(output):
    """An output as text."""
    if output.output_type == "stream":
        text = output.text
    elif output.output_type == "error":
        text = "\n".join(output.traceback)
    else:
        text = output.data.get("text/plain", f"[{', '.join(output.data)}]")
    return ANSI.sub("", text).rstrip()


def print_cell(cell):
    first = next((line for line in cell.source.splitlines() if line.strip()), "")
    print(f"\n> {first}" + (" …" if "\n" in cell.source.strip() else ""), flush=True)
    for output in cell.outputs:
        for line in shown(output).splitlines():
            print(f"  {line}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=pathlib.Path)
    parser.add_argument("--figures", action="store_true")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()

    notebook = nbformat.read(options.notebook, as_version=4)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        # What a notebook writes, such as adapters and runs, belongs beside it; here it goes away with the folder.
        client = NotebookClient(notebook, timeout=900, kernel_name=notebook.metadata.kernelspec.name, resources={"metadata": {"path": folder}})
        if options.figures:
            client.on_cell_executed = lambda cell, cell_index, execute_reply: print_cell(cell)
        try:
            client.execute()
        except CellExecutionError as error:
            sys.exit(f"\n{options.notebook.name} stopped at a cell:\n{ANSI.sub('', str(error))}")
    if options.save:
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
        # The folder was this run's own: to a reader, what lies in it lies beside the notebook.
        stored = nbformat.writes(notebook).replace(f"{folder}/", "")
        options.notebook.write_text(stored + "\n")
    print(f"\n{options.notebook.name}: {sum(cell.cell_type == 'code' for cell in notebook.cells)} cells in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
