/* The Python frames of this thread, read where the interpreter keeps them.
 *
 * The public way makes an object of every frame that it passes, which costs more than all the rest of a
 * record. From 3.14 on, whose layout is not known here, it is used all the same.
 *
 * Include this first: the interpreter's own headers want to know that they are meant before Python.h.
 */
#ifndef GREENSCOPE_FRAMES_H
#define GREENSCOPE_FRAMES_H

#define PY_SSIZE_T_CLEAN
#include <patchlevel.h>

#if PY_VERSION_HEX < 0x030E0000

#define Py_BUILD_CORE 1
#include <Python.h>
#include <internal/pycore_frame.h>

typedef struct _PyInterpreterFrame *Frame;

static inline Frame
frame_here(void)
{
#if PY_VERSION_HEX < 0x030D0000
    return PyThreadState_Get()->cframe->current_frame;
#else
    return PyThreadState_Get()->current_frame;
#endif
}

/* Not so of frames that run no line yet, or that stand for a call from C, which are to be passed over. It looks into
 * the code, which a walk that knows the code by its address has not fetched: ask last. */
static inline int
frame_runs(Frame frame)
{
    return !_PyFrame_IsIncomplete(frame);
}

/* The frame that an object stands for, of a greenlet that does not run. */
static inline Frame
frame_of(PyFrameObject *object)
{
    return object->f_frame;
}

/* The caller of `frame`, which is done with. */
static inline Frame
frame_back(Frame frame)
{
    return frame->previous;
}

#define frame_done(frame) ((void) (frame))

/* Borrowed; of a frame that does not run, perhaps something else, or nothing. */
static inline PyCodeObject *
frame_code(Frame frame)
{
#if PY_VERSION_HEX < 0x030D0000
    return frame->f_code;
#else
    return (PyCodeObject *) frame->f_executable;
#endif
}

/* Where in its code it is, in bytes. */
static inline int
frame_lasti(Frame frame)
{
    return _PyInterpreterFrame_LASTI(frame) * (int) sizeof(_Py_CODEUNIT);
}

#else

#include <Python.h>
#include <frameobject.h>

typedef PyFrameObject *Frame;

#define frame_here()      PyThreadState_GetFrame(PyThreadState_Get())
#define frame_done(frame) Py_DECREF(frame)
#define frame_of(object)  ((Frame) Py_NewRef((PyObject *) (object)))
#define frame_lasti       PyFrame_GetLasti
#define frame_runs(frame) 1

static inline Frame
frame_back(Frame frame)
{
    Frame back = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    return back;
}

static inline PyCodeObject *
frame_code(Frame frame)
{
    PyCodeObject *code = PyFrame_GetCode(frame);
    Py_DECREF(code); /* the frame has it */
    return code;
}

#endif
#endif
