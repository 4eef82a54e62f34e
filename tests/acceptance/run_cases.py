"""Run one file of the interpreter's own tests, and write down how each case ended. A script of its own process.

usage: python run_cases.py FILE none|greenscope|gevent LOG ORDER

FILE is a module of the package ``test``. LOG gets a JSON line when a case begins and one when it ends, so that
a case that hangs, or ends the process, is known by name. ORDER is a JSON file: ``leave_out``, cases; ``seconds``,
after which a case is shown (``faulthandler``) and ends the process; ``sooner``, patterns of cases that hang for
certain, and ``sooner_seconds`` for those.
"""

from __future__ import annotations

import sys

sys.path.pop(0)  # this directory, which is none of the tests' business

if sys.argv[2] == "greenscope":
    from greenscope.runtime import monkey

    monkey.patch_all()
elif sys.argv[2] == "gevent":
    import gevent.monkey

    gevent.monkey.patch_all()

import faulthandler
import json
import os
import unittest
from fnmatch import fnmatchcase
from pathlib import Path
from time import perf_counter


class Log(unittest.TestResult):
    """How each case ended: pass, fail, error, skip, or a failure that was expected."""

    def __init__(self, path: str, order: dict) -> None:
        super().__init__()
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115  (as long as the process)
        self._process = os.getpid()
        self._order = order
        self._outcome = ""
        self._detail = ""
        self._began = 0.0
        self._running = False

    def write(self, **line: object) -> None:
        if os.getpid() == self._process:  # not in a child that a case forked and that came back
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._outcome, self._detail, self._began, self._running = "pass", "", perf_counter(), True
        self.write(begin=test.id())
        print(f"\n--- {test.id()}", file=sys.stderr, flush=True)
        hangs = any(fnmatchcase(test.id(), pattern) for pattern in self._order["sooner"])
        faulthandler.dump_traceback_later(self._order["sooner_seconds" if hangs else "seconds"], exit=True)

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        if not self._running:  # from Python 3.12.1 on, a skipped class's cases stop without a start
            return
        faulthandler.cancel_dump_traceback_later()
        self._running = False
        seconds = round(perf_counter() - self._began, 3)
        self.write(end=test.id(), outcome=self._outcome, seconds=seconds, detail=self._detail)

    def _note(self, test: unittest.TestCase, outcome: str, detail: str) -> None:
        if not self._running:  # setUpClass, setUpModule, or their opposites: a case of its own name
            self.write(end=test.id(), outcome=outcome, seconds=0, detail=detail)
            return
        worse = ("pass", "skip", "fail", "error")
        if self._outcome not in worse or outcome not in worse or worse.index(outcome) > worse.index(self._outcome):
            self._outcome = outcome
        self._detail += detail

    def addError(self, test, err):
        super().addError(test, err)
        self._note(test, "error", self._exc_info_to_string(err, test))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._note(test, "fail", self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._note(test, "skip", reason)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self._note(test, "expected failure", "")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._note(test, "unexpected success", "")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self._note(test, "fail" if failed else "error", f"{subtest}\n{self._exc_info_to_string(err, test)}")


def cases_of(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from cases_of(item)
        else:
            yield item


def main() -> None:
    name, _patch, path, order_path = sys.argv[1:]
    order = json.loads(Path(order_path).read_text(encoding="utf-8"))
    sys.argv[1:] = []
    import test.support

    test.support.use_resources = []  # no network, no CPU hogs
    test.support.verbose = 0
    faulthandler.enable()
    log = Log(path, order)
    try:
        suite = unittest.defaultTestLoader.loadTestsFromName(f"test.{name}")
    except unittest.SkipTest as error:
        log.write(end=f"test.{name}", outcome="skip", seconds=0, detail=str(error))
        log.write(finished=True)
        return
    if leave_out := set(order["leave_out"]):
        suite = unittest.defaultTestLoader.suiteClass(case for case in cases_of(suite) if case.id() not in leave_out)
    suite.run(log)
    log.write(finished=True)


if __name__ == "__main__":
    main()
    # What a case left running must not keep the process; all there is to know is written.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
