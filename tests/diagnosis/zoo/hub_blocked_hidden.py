"""A regular expression that takes for ever, called by one request among many.

finding: hub-blocked
greenlet: validate
"""

import re

import noise

import greenscope.runtime as g


def validate(text):
    g.sleep(0.5)
    return re.match("(a+)+$", text)  # <- here


noise.start()
g.spawn(validate, "a" * 40 + "!").join()
