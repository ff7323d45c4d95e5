"""Runs one scenario: `scenario.py MODULE FUNCTION`. The Rust tests in tests/it call it, one test for each function."""

import importlib
import sys

if __name__ == "__main__":
    module, function = sys.argv[1:]
    getattr(importlib.import_module(f"scenarios.{module}"), function)()
