"""A pool of workers for jobs that take their time, each with a timeout, of which a few fire."""

import random

import greenscope.runtime as g
from greenscope.runtime.pool import Pool


def work(seconds):
    with g.Timeout(0.1, False):
        g.sleep(seconds)


pool = Pool(20)
while True:
    pool.spawn(work, random.choice([0.005] * 19 + [0.2]))
