"""A report waits for a signal to begin that nobody is left to give.

finding: loop-exit
greenlet: report
ends: yes
"""

import greenscope.runtime as g
from greenscope.runtime import Event

begin = Event()


def report():
    begin.wait()  # <- here


def prepare():
    g.sleep(0.1)


g.spawn(prepare)
g.spawn(report).join()
