"""For each order a greenlet that waits for a receipt, which nobody sends.

finding: greenlet-leak
greenlet: wait_for_receipt
thresholds: stall_ms=1000 leak_s=2 leak_more=50
"""

import greenscope.runtime as g
from greenscope.runtime import event


def wait_for_receipt(receipt):
    receipt.wait()


def take_orders():
    while True:
        g.spawn(wait_for_receipt, event.Event())  # <- here
        g.sleep(0.01)


g.spawn(take_orders).join()
