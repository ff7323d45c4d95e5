"""``python -m graft_kernel ARGUMENTS``: run ``graft`` where its folder is not on PATH."""

import os
import sys

from graft_kernel import program


def main():
    """Replace this process by the program, or say why it cannot be found."""
    try:
        path = program()
    except FileNotFoundError as error:
        sys.exit(f"graft: {error}")
    os.execv(path, [str(path), *sys.argv[1:]])


if __name__ == "__main__":
    main()
