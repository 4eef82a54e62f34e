/* Forks: the watchdog's thread is away while the process forks, so that os.fork finds no thread of ours.
 *
 * From Python 3.12 on os.fork and os.forkpty count the threads of the process, as the kernel does, and warn if
 * there are several. 3.12 counts before the hooks of os.register_at_fork in the parent, 3.13 after them. So the
 * thread ends in the hook before the fork, and one goes on as soon as the call has returned, by a pending call:
 * the interpreter makes these in its main thread, and looks for them first thing after a call of C.
 *
 * A fork by any other thread leaves the watchdog alone: the process has two threads without it then, is warned of
 * anyway, and the warning says no number. The one that the kernel counts always is the process's first; in a
 * forked child, the one that forked. It is the interpreter's main thread.
 *
 * Other hooks may be Python, and there the interpreter makes pending calls too: `inside` tells.
 */
#include "_watch.h"

#include <sys/syscall.h>
#include <unistd.h>

/* The frame that called os.fork, no reference: if it is gone, so is the call. */
static const PyFrameObject *forker;
static int forker_at;
static int owed; /* under the GIL, as these: the thread is away for a fork of the first thread's */

static int
by_first_thread(void)
{
    return syscall(SYS_gettid) == getpid();
}

/* Whether os.fork has not returned yet: the frame that called it stands where it stood, and what runs is a hook.
 * If that frame itself runs, it has.
 */
static int
inside(void)
{
    PyFrameObject *frame = PyEval_GetFrame(), *back;
    if (frame == NULL || frame == forker)
        return 0;
    Py_INCREF(frame);
    while (frame != NULL && frame != forker) {
        back = PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = back;
    }
    int is = frame != NULL && PyFrame_GetLasti(frame) == forker_at;
    Py_XDECREF(frame);
    return is;
}

static int
go_on(void *Py_UNUSED(unused))
{
    if (!owed || (inside() && Py_AddPendingCall(go_on, NULL) == 0))
        return 0;
    owed = 0;
    watch_resume();
    return 0;
}

PyObject *
watchdog_before_fork(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    if (by_first_thread() && (owed = watch_pause())) {
        PyFrameObject *frame = PyEval_GetFrame();
        forker = frame;
        forker_at = frame != NULL ? PyFrame_GetLasti(frame) : -1;
    }
    Py_RETURN_NONE;
}

PyObject *
watchdog_after_fork(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    if (by_first_thread() && owed && Py_AddPendingCall(go_on, NULL) < 0) { /* too many are pending */
        owed = 0;
        watch_resume();
    }
    Py_RETURN_NONE;
}
