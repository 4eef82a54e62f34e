"""Events, queues and fairness: who gets what, and who runs first?"""

from greenscope.runtime import Event, Queue, joinall, sleep, spawn

gate, jobs = Event(), Queue()


def worker():
    gate.wait()
    while (job := jobs.get()) is not None:
        print("job", job)


workers = [spawn(worker) for _ in range(3)]
sleep(0.05)
gate.set()
print("main: the gate is open")
sleep(0.05)
for job in (1, 2, 3, 4, None, None, None):
    jobs.put(job)
print("main: all jobs are in the queue")
joinall(workers)
