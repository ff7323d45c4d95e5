"""Executes a notebook from top to bottom: `execute_notebook.py NOTEBOOK [--figures] [--save]`.

--figures prints the output of each cell, and figures in their text form; --save stores the outputs in the notebook. It exits with code 1 at the first
error.
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
    """Returns an output as text."""
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
        # A notebook writes adapters and runs to its working folder; here they are deleted with the temporary folder.
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
        # The folder existed only for this run: a reader finds these files next to the notebook.
        stored = nbformat.writes(notebook).replace(f"{folder}/", "")
        options.notebook.write_text(stored + "\n")
    print(f"\n{options.notebook.name}: {sum(cell.cell_type == 'code' for cell in notebook.cells)} cells in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
