"""Fixtures of the end-to-end tests, and the order in which tests run in parallel.

A test gets a `kernel` (a fresh one, installed as users install it) or `places` (private home, caches and working folder) when it names it as a
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


# Files whose tests take minutes. If one of them started last, one worker would be busy while the other is idle.
LONGEST = ["test_notebooks", "test_jupyterlab", "test_browser", "test_crates", "test_life"]


def pytest_collection_modifyitems(items):
    """Sorts the longest files first; tests marked `long` run only with `cargo xtask test --long`."""
    items.sort(key=lambda item: LONGEST.index(item.module.__name__) if item.module.__name__ in LONGEST else len(LONGEST))
    for item in items:
        if item.get_closest_marker("long") and not LONG:
            item.add_marker(pytest.mark.skip(reason="runs with `cargo xtask test --long`"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A skipped test counts as failed in classes with `nothing_is_skipped`, because the reference suite skips everything that a kernel does not declare."""
    report = (yield).get_result()
    if report.skipped and getattr(item.cls, "nothing_is_skipped", False):
        report.outcome, report.longrepr = "failed", f"skipped, although nothing of this suite may be: {report.longrepr}"


def pytest_addoption(parser):
    parser.addoption("--suppress-no-test-exit-code", action="store_true", help="succeed where the selection matches no test")


def pytest_sessionfinish(session, exitstatus):
    """Running no test is a failure, unless `--suppress-no-test-exit-code` is given."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.getoption("--suppress-no-test-exit-code"):
        session.exitstatus = pytest.ExitCode.OK
