"""One greenlet, one sleep: who is it that waits?"""

from greenscope.runtime import sleep

print("main: going to sleep")
sleep(0.2)
print("main: awake again")
