"""Fails a test that wrote a secret to this process's output or log, where in-process servers log to.

Who calls it: pytest, for every test of the suite. It reads what pytest has captured of the test.
"""

from collections.abc import Generator

import pytest

from tests.support.secrecy import LEDGER, SecretLeaked, check_text

_START = pytest.StashKey[int]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Only what comes up from here on can be the test's."""
    item.stash[_START] = LEDGER.now


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The report of the teardown tells of all that was captured; a leak makes it a failure."""
    report = yield
    if call.when == "teardown" and report.passed:
        try:
            for _, title, text in item._report_sections:
                check_text(text, LEDGER.since(item.stash.get(_START, 0)), title)
        except SecretLeaked as leak:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: {leak}"
    return report
