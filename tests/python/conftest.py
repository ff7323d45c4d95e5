"""Fixtures of the end-to-end tests, and how they share a machine.

A test asks for a `kernel` (a fresh one, installed as users install it) or for `places` (private home, caches and working folder) by naming it as a
parameter. Tests run two at a time, the longest files first.
"""

import pytest

from graft_testing import LONG, Kernel, Places


@pytest.fixture
def places():
    """Private folders, removed after the test."""
    with Places() as made:
        yield made


@pytest.fixture
def kernel():
    """A running kernel in private folders, shut down after the test."""
    with Kernel() as started:
        yield started


# Files whose tests take minutes: started last, one of them would keep a single worker busy while the other has nothing left to do.
LONGEST = ["test_notebooks", "test_jupyterlab", "test_browser", "test_crates", "test_life"]


def pytest_collection_modifyitems(items):
    """The longest files first; tests marked `long` run with `cargo xtask test --long` only."""
    items.sort(key=lambda item: LONGEST.index(item.module.__name__) if item.module.__name__ in LONGEST else len(LONGEST))
    for item in items:
        if item.get_closest_marker("long") and not LONG:
            item.add_marker(pytest.mark.skip(reason="runs with `cargo xtask test --long`"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A skipped test counts as failed in classes that say `nothing_is_skipped`: the reference suite skips what a kernel does not declare."""
    report = (yield).get_result()
    if report.skipped and getattr(item.cls, "nothing_is_skipped", False):
        report.outcome, report.longrepr = "failed", f"skipped, although nothing of this suite may be: {report.longrepr}"


def pytest_addoption(parser):
    parser.addoption("--suppress-no-test-exit-code", action="store_true", help="succeed where the selection matches no test")


def pytest_sessionfinish(session, exitstatus):
    """Without a selection, running nothing is a failure."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.getoption("--suppress-no-test-exit-code"):
        session.exitstatus = pytest.ExitCode.OK
