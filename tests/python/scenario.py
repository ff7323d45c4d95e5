"""Runs one scenario: `scenario.py MODULE FUNCTION`. The Rust tests in tests/it call it, one test for each function."""

import importlib
import signal
import sys

# A little less than what tests/src/lib.rs allows: ending by an exception stops the kernels that were started and says where it hung.
LIMIT = 570


def over(*_):
    raise TimeoutError(f"the scenario did not end within {LIMIT} s")


if __name__ == "__main__":
    module, function = sys.argv[1:]
    signal.signal(signal.SIGALRM, over)
    signal.alarm(LIMIT)
    getattr(importlib.import_module(f"scenarios.{module}"), function)()
