"""A task once a second, one ten times a second, and nothing else."""

import greenscope.runtime as g


def every(seconds):
    while True:
        g.sleep(seconds)
        sum(range(10_000))


g.spawn(every, 1)
g.spawn(every, 0.1)
g.get_hub().join()
