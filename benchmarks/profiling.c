/* Under callgrind: asks at every call and return of a Python function how many instructions its thread has had so far.
   The answers go to valgrind's log, in the order of `events`; `functions.py` puts both together. */
#include <Python.h>
#include <frameobject.h>
#include <valgrind/callgrind.h>

#define MOST 2000000
static struct { PyCodeObject *code; unsigned long thread; char kind; } events[MOST];
static long count = 0;
static int is_on = 0;

static int on_event(PyObject *self, PyFrameObject *frame, int what, PyObject *arg) {
    if (!is_on || (what != PyTrace_CALL && what != PyTrace_RETURN) || count >= MOST) return 0;
    PyCodeObject *code = PyFrame_GetCode(frame); /* never released: it must outlive the run */
    events[count].code = code;
    events[count].thread = PyThread_get_thread_ident();
    events[count].kind = what == PyTrace_CALL;
    count++;
    (void)VALGRIND_MONITOR_COMMAND("status internal");
    return 0;
}

/* All are called with the GIL; the first in each thread that is to be followed. */
void profiling_follow(void) { PyEval_SetProfile(on_event, NULL); }
void profiling_begin(void) { is_on = 1; }
void profiling_end(void) { is_on = 0; }

long profiling_count(void) { return count; }
PyObject *profiling_event(long index) {
    return Py_BuildValue("OkO", events[index].code, events[index].thread, events[index].kind ? Py_True : Py_False);
}
