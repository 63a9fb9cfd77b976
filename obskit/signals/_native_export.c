/* What lies between the end of a request and its export, in C: the queue of `intakes`, and the spans of `EndedSpans`.

   Python is the reference here too: whatever is not as usual goes to the function that is given as `slow`, or has its
   own method of the Python object called. Included by _native.c. */

/* ------------------------------------------------------------------ a queue's entrance, as `intakes.Intake` */

/* Its methods run no Python between the first and the last change of a figure, so the interpreter's lock is enough. */
typedef struct {
    PyObject_HEAD
    PyObject *items, *sizes, *add_item, *add_size, *refuse, *wake;
    long long room, most_bytes, urgent_room;
    Py_ssize_t put_count;
} Intake;

static PyTypeObject IntakeType;

/* Take one item in, or refuse it. Returns -1 with an exception. */
static int take_in(Intake *self, PyObject *item, PyObject *size)
{
    long long bytes = PyLong_AsLongLong(size);
    if (bytes == -1 && PyErr_Occurred())
        return -1;
    PyObject *done;
    if (bytes > self->room || bytes > self->most_bytes) {
        done = PyObject_CallOneArg(self->refuse, size);
        Py_XDECREF(done);
        return done == NULL ? -1 : 0;
    }
    if ((done = PyObject_CallOneArg(self->add_size, size)) == NULL)
        return -1;
    Py_DECREF(done);
    if ((done = PyObject_CallOneArg(self->add_item, item)) == NULL) {
        Py_XDECREF(PyObject_CallMethodNoArgs(self->sizes, s_pop));
        return -1;
    }
    Py_DECREF(done);
    self->room -= bytes;
    self->put_count++;
    if (self->room < self->urgent_room) {
        done = PyObject_CallNoArgs(self->wake);
        Py_XDECREF(done);
        return done == NULL ? -1 : 1;
    }
    return 1;
}

PyDoc_STRVAR(intake_put_doc, "put(item, size_bytes)\n--\n\nTake one item in; return whether there was room.");

static PyObject *intake_put(Intake *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "put takes an item and its size");
        return NULL;
    }
    int is_taken = take_in(self, args[0], args[1]);
    return is_taken < 0 ? NULL : PyBool_FromLong(is_taken);
}

PyDoc_STRVAR(intake_give_back_doc, "give_back(size_bytes)\n--\n\nMake room again.");

static PyObject *intake_give_back(Intake *self, PyObject *size)
{
    long long bytes = PyLong_AsLongLong(size);
    if (bytes == -1 && PyErr_Occurred())
        return NULL;
    if (self->room >= 0) /* else it is closed */
        self->room += bytes;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(intake_close_doc, "close()\n--\n\nRefuse everything from here on.");

static PyObject *intake_close(Intake *self, PyObject *Py_UNUSED(none))
{
    self->room = -1;
    Py_RETURN_NONE;
}

static PyObject *intake_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"items", "sizes", "room", "most_bytes", "urgent_room", "refuse", "wake", NULL};
    PyObject *items, *sizes, *refuse, *wake;
    long long room, most_bytes, urgent_room;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOLLLOO", names, &items, &sizes, &room, &most_bytes, &urgent_room,
                                     &refuse, &wake))
        return NULL;
    PyObject *add_item = PyObject_GetAttr(items, s_append), *add_size = PyObject_GetAttr(sizes, s_append);
    Intake *self = add_item == NULL || add_size == NULL ? NULL : (Intake *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_XDECREF(add_item);
        Py_XDECREF(add_size);
        return NULL;
    }
    self->items = Py_NewRef(items);
    self->sizes = Py_NewRef(sizes);
    self->add_item = add_item;
    self->add_size = add_size;
    self->refuse = Py_NewRef(refuse);
    self->wake = Py_NewRef(wake);
    self->room = room;
    self->most_bytes = most_bytes;
    self->urgent_room = urgent_room;
    return (PyObject *)self;
}

static int intake_traverse(Intake *self, visitproc visit, void *arg)
{
    Py_VISIT(self->items);
    Py_VISIT(self->sizes);
    Py_VISIT(self->add_item);
    Py_VISIT(self->add_size);
    Py_VISIT(self->refuse);
    Py_VISIT(self->wake);
    return 0;
}

static void intake_dealloc(Intake *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->items);
    Py_XDECREF(self->sizes);
    Py_XDECREF(self->add_item);
    Py_XDECREF(self->add_size);
    Py_XDECREF(self->refuse);
    Py_XDECREF(self->wake);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef intake_methods[] = {
    {"put", (PyCFunction)(void (*)(void))intake_put, METH_FASTCALL, intake_put_doc},
    {"give_back", (PyCFunction)intake_give_back, METH_O, intake_give_back_doc},
    {"close", (PyCFunction)intake_close, METH_NOARGS, intake_close_doc},
    {NULL},
};
static PyMemberDef intake_members[] = {
    {"room", T_LONGLONG, offsetof(Intake, room), READONLY, NULL},
    {"urgent_room", T_LONGLONG, offsetof(Intake, urgent_room), 0, NULL},
    {"most_bytes", T_LONGLONG, offsetof(Intake, most_bytes), 0, NULL},
    {"put_count", T_PYSSIZET, offsetof(Intake, put_count), READONLY, NULL},
    {NULL},
};
static PyTypeObject IntakeType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obskit.signals._native.Intake",
    .tp_basicsize = sizeof(Intake),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "The entrance of a queue that is bounded in bytes.",
    .tp_new = intake_new,
    .tp_traverse = (traverseproc)intake_traverse,
    .tp_dealloc = (destructor)intake_dealloc,
    .tp_methods = intake_methods,
    .tp_members = intake_members,
};

/* ------------------------------------------------------------------ to all queues at once, as `intakes.Fan` */

typedef struct {
    PyObject_HEAD
    PyObject *intakes; /* a tuple */
} Fan;

static int put_into_all(Fan *self, PyObject *item, PyObject *size)
{
    PyObject *intakes = Py_NewRef(self->intakes), *arguments[3] = {NULL, item, size}, *done;
    int failed = 0;
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(intakes) && !failed; place++) {
        PyObject *intake = PyTuple_GET_ITEM(intakes, place);
        if (Py_IS_TYPE(intake, &IntakeType)) {
            failed = take_in((Intake *)intake, item, size) < 0;
            continue;
        }
        arguments[0] = intake;
        done = PyObject_VectorcallMethod(s_put, arguments, 3, NULL);
        failed = done == NULL;
        Py_XDECREF(done);
    }
    Py_DECREF(intakes);
    return failed ? -1 : 0;
}

PyDoc_STRVAR(fan_submit_doc, "submit(item, size_bytes)\n--\n\nPut one item into each queue that has room.");

static PyObject *fan_submit(Fan *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "submit takes an item and its size");
        return NULL;
    }
    if (put_into_all(self, args[0], args[1]) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *fan_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", names))
        return NULL;
    Fan *self = (Fan *)type->tp_alloc(type, 0);
    if (self != NULL && (self->intakes = PyTuple_New(0)) == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static PyObject *fan_get(Fan *self, void *Py_UNUSED(closure)) { return Py_NewRef(self->intakes); }

static int fan_set(Fan *self, PyObject *intakes, void *Py_UNUSED(closure))
{
    if (intakes == NULL || !PyTuple_CheckExact(intakes)) {
        PyErr_SetString(PyExc_TypeError, "intakes must be a tuple");
        return -1;
    }
    PyObject *before = self->intakes;
    self->intakes = Py_NewRef(intakes);
    Py_XDECREF(before);
    return 0;
}

static int fan_traverse(Fan *self, visitproc visit, void *arg)
{
    Py_VISIT(self->intakes);
    return 0;
}

static void fan_dealloc(Fan *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->intakes);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef fan_methods[] = {
    {"submit", (PyCFunction)(void (*)(void))fan_submit, METH_FASTCALL, fan_submit_doc},
    {NULL},
};
static PyGetSetDef fan_getset[] = {
    {"intakes", (getter)fan_get, (setter)fan_set, "The entrances, a tuple.", NULL},
    {NULL},
};
static PyTypeObject FanType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obskit.signals._native.Fan",
    .tp_basicsize = sizeof(Fan),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "Puts what is to go everywhere into the queue of each destination.",
    .tp_new = fan_new,
    .tp_traverse = (traverseproc)fan_traverse,
    .tp_dealloc = (destructor)fan_dealloc,
    .tp_methods = fan_methods,
    .tp_getset = fan_getset,
};

/* ------------------------------------------------------------------ lines that share a write, as `gathering._Gathered` */

/* One piece of memory, which is written as it is: a text for each line, and their joint and encoded copies, would go
   through several times as much of the processor's cache. */
typedef struct {
    PyObject_HEAD
    PyObject *bytes; /* longer than what is in it; NULL when nothing is */
    Py_ssize_t size;
    double until;
} Gathered;

enum { LEAST_ROOM = 1 << 15 };

static PyTypeObject GatheredType;

static int gather_bytes(Gathered *self, const char *data, Py_ssize_t size)
{
    Py_ssize_t room = self->bytes == NULL ? 0 : PyBytes_GET_SIZE(self->bytes);
    if (size > room - self->size) {
        room = 2 * (self->size + size);
        PyObject *more = PyBytes_FromStringAndSize(NULL, room < LEAST_ROOM ? LEAST_ROOM : room);
        if (more == NULL)
            return -1;
        if (self->bytes != NULL)
            memcpy(PyBytes_AS_STRING(more), PyBytes_AS_STRING(self->bytes), self->size);
        Py_XSETREF(self->bytes, more);
    }
    memcpy(PyBytes_AS_STRING(self->bytes) + self->size, data, size);
    self->size += size;
    return 0;
}

PyDoc_STRVAR(gathered_append_doc, "append(line)\n--\n\nAdd a line.");

static PyObject *gathered_append(Gathered *self, PyObject *line)
{
    Py_ssize_t size;
    if (!PyUnicode_Check(line)) {
        PyErr_Format(PyExc_TypeError, "a line is a str, not %.100s", Py_TYPE(line)->tp_name);
        return NULL;
    }
    const char *data = PyUnicode_AsUTF8AndSize(line, &size);
    if (data != NULL) {
        if (gather_bytes(self, data, size) < 0)
            return NULL;
        Py_RETURN_NONE;
    }
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
        return NULL;
    PyErr_Clear();
    PyObject *bytes = PyUnicode_AsEncodedString(line, "utf-8", "replace");
    if (bytes == NULL)
        return NULL;
    int failed = gather_bytes(self, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(gathered_take_doc, "take()\n--\n\nTake all lines out, encoded, one behind the other.");

static PyObject *gathered_take(Gathered *self, PyObject *Py_UNUSED(none))
{
    PyObject *taken = self->bytes;
    Py_ssize_t size = self->size;
    self->bytes = NULL;
    self->size = 0;
    if (taken == NULL)
        return PyBytes_FromStringAndSize(NULL, 0);
    _PyBytes_Resize(&taken, size); /* NULL with an exception where that failed */
    return taken;
}

static Py_ssize_t gathered_length(Gathered *self) { return self->size; }

static PyObject *gathered_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", names))
        return NULL;
    return type->tp_alloc(type, 0);
}

static void gathered_dealloc(Gathered *self)
{
    Py_XDECREF(self->bytes);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef gathered_methods[] = {
    {"append", (PyCFunction)gathered_append, METH_O, gathered_append_doc},
    {"take", (PyCFunction)gathered_take, METH_NOARGS, gathered_take_doc},
    {NULL},
};
static PyMemberDef gathered_members[] = {
    {"until", T_DOUBLE, offsetof(Gathered, until), 0, NULL},
    {NULL},
};
static PySequenceMethods gathered_sequence = {.sq_length = (lenfunc)gathered_length};
static PyTypeObject GatheredType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obskit.signals._native.Gathered",
    .tp_basicsize = sizeof(Gathered),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Lines that wait for each other.",
    .tp_new = gathered_new,
    .tp_dealloc = (destructor)gathered_dealloc,
    .tp_methods = gathered_methods,
    .tp_members = gathered_members,
    .tp_as_sequence = &gathered_sequence,
};

/* ------------------------------------------------------------------ spans, as `ended.EndedSpans.built` */

enum { F_CONTEXT, F_PARENT, F_ATTRIBUTES, F_START, F_END, FIELDS };
enum { SAMPLED_FLAGS, UNSAMPLED_FLAGS, SAMPLED_ROOT_FLAGS, UNSAMPLED_ROOT_FLAGS, FLAGS };

typedef struct {
    PyObject_HEAD
    PyObject *slow, *alike, *add_own, *shown_agent, *span_type, *context_type, *names, *flags, *no_states;
    PyObject *known, *agents, *resource;
} Builder;

#define BUILDER_OBJECTS(X)                                                                                             \
    X(slow) X(alike) X(add_own) X(shown_agent) X(span_type) X(context_type) X(names) X(flags) X(no_states)

/* Where `ended.record_of` has what. */
enum {
    R_TRACE, R_SPAN, R_SAMPLED, R_PARENT, R_PARENT_SAMPLED, R_STATES, R_START, R_ELAPSED, R_OF_KIND, R_PATH = 15,
    R_QUERY, R_IP, R_AGENT, R_MORE, RECORD_SIZE
};

/* Whether the record is of a request, and as most are. */
static int is_usual(PyObject *record)
{
    static const int texts[] = {R_TRACE, R_SPAN, R_PARENT, R_STATES, R_PATH, R_QUERY, R_IP, R_AGENT};
    if (!PyTuple_CheckExact(record) || PyTuple_GET_SIZE(record) != RECORD_SIZE)
        return 0;
    for (size_t index = 0; index < sizeof texts / sizeof *texts; index++) {
        PyObject *text = PyTuple_GET_ITEM(record, texts[index]);
        if (!PyUnicode_CheckExact(text) || (texts[index] <= R_PARENT && !PyUnicode_IS_COMPACT_ASCII(text)))
            return 0;
    }
    Py_ssize_t parent = PyUnicode_GET_LENGTH(PyTuple_GET_ITEM(record, R_PARENT));
    PyObject *more = PyTuple_GET_ITEM(record, R_MORE), *elapsed = PyTuple_GET_ITEM(record, R_ELAPSED);
    return PyUnicode_GET_LENGTH(PyTuple_GET_ITEM(record, R_TRACE)) == 32
           && PyUnicode_GET_LENGTH(PyTuple_GET_ITEM(record, R_SPAN)) == 16 && (parent == 0 || parent == 16)
           && PyUnicode_GET_LENGTH(PyTuple_GET_ITEM(record, R_STATES)) == 0
           && PyBool_Check(PyTuple_GET_ITEM(record, R_SAMPLED)) && PyBool_Check(PyTuple_GET_ITEM(record, R_PARENT_SAMPLED))
           && PyLong_CheckExact(PyTuple_GET_ITEM(record, R_START)) && PyFloat_CheckExact(elapsed)
           && PyFloat_AS_DOUBLE(elapsed) >= 0 && PyFloat_AS_DOUBLE(elapsed) < 1e9 && (more == Py_None || PyDict_CheckExact(more));
}

static const unsigned char digit_of[256] = { /* of hex, lower case */
    [0 ... 255] = 16, ['0'] = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ['a'] = 10, 11, 12, 13, 14, 15,
};

/* The number that an id of 16 or 32 hex digits stands for. */
static PyObject *number_of(PyObject *id)
{
    const char *text = (const char *)PyUnicode_1BYTE_DATA(id);
    Py_ssize_t digits = PyUnicode_GET_LENGTH(id);
    unsigned char bytes[16];
    int wrong = 0;
    for (Py_ssize_t index = 0; index < digits; index += 2) {
        int high = digit_of[(unsigned char)text[index]], low = digit_of[(unsigned char)text[index + 1]];
        wrong |= high | low;
        bytes[index / 2] = (unsigned char)(high << 4 | (low & 15));
    }
    if (wrong & 16)
        return PyLong_FromString(text, NULL, 16); /* as `int` takes it, or not */
    return _PyLong_FromByteArray(bytes, (size_t)digits / 2, 0, 0);
}

/* A `SpanContext`, whose ids have been checked; takes no reference. */
static PyObject *context_of(Builder *self, PyObject *trace_id, PyObject *span, PyObject *is_remote, int flags)
{
    PyObject *span_id = number_of(span);
    PyTypeObject *type = (PyTypeObject *)self->context_type;
    PyObject *context = span_id == NULL ? NULL : type->tp_alloc(type, 6);
    if (context == NULL) {
        Py_XDECREF(span_id);
        return NULL;
    }
    PyTuple_SET_ITEM(context, 0, Py_NewRef(trace_id));
    PyTuple_SET_ITEM(context, 1, span_id);
    PyTuple_SET_ITEM(context, 2, Py_NewRef(is_remote));
    PyTuple_SET_ITEM(context, 3, Py_NewRef(PyTuple_GET_ITEM(self->flags, flags)));
    PyTuple_SET_ITEM(context, 4, Py_NewRef(self->no_states));
    PyTuple_SET_ITEM(context, 5, Py_NewRef(Py_True));
    return context;
}

/* Put the own context and the caller's into the span's fields. */
static int set_contexts(Builder *self, PyObject *fields, PyObject *record)
{
    PyObject *trace_id = number_of(PyTuple_GET_ITEM(record, R_TRACE));
    if (trace_id == NULL)
        return -1;
    PyObject *span = PyTuple_GET_ITEM(record, R_SPAN), *parent = PyTuple_GET_ITEM(record, R_PARENT), *context;
    int has_parent = PyUnicode_GET_LENGTH(parent) > 0, is_sampled = PyTuple_GET_ITEM(record, R_SAMPLED) == Py_True;
    int flags = is_sampled ? (has_parent ? SAMPLED_FLAGS : SAMPLED_ROOT_FLAGS)
                           : (has_parent ? UNSAMPLED_FLAGS : UNSAMPLED_ROOT_FLAGS);
    int failed = (context = context_of(self, trace_id, span, Py_False, flags)) == NULL
                 || PyDict_SetItem(fields, PyTuple_GET_ITEM(self->names, F_CONTEXT), context) < 0;
    Py_XDECREF(context);
    context = NULL;
    if (!failed && has_parent) {
        flags = PyTuple_GET_ITEM(record, R_PARENT_SAMPLED) == Py_True ? SAMPLED_FLAGS : UNSAMPLED_FLAGS;
        failed = (context = context_of(self, trace_id, parent, Py_True, flags)) == NULL;
    }
    if (!failed)
        failed = PyDict_SetItem(fields, PyTuple_GET_ITEM(self->names, F_PARENT), has_parent ? context : Py_None) < 0;
    Py_XDECREF(context);
    Py_DECREF(trace_id);
    return failed ? -1 : 0;
}

/* The user agent without secrets, owned. */
static PyObject *agent_of(Builder *self, PyObject *agent)
{
    PyObject *shown = PyDict_GetItemWithError(self->agents, agent);
    if (shown != NULL || PyErr_Occurred())
        return Py_XNewRef(shown);
    if ((shown = PyObject_CallOneArg(self->shown_agent, agent)) == NULL)
        return NULL;
    if (PyDict_GET_SIZE(self->agents) >= 1000)
        PyDict_Clear(self->agents);
    if (PyDict_SetItem(self->agents, agent, shown) < 0)
        Py_CLEAR(shown);
    return shown;
}

/* Add what the request has of its own, as `EndedSpans.add_own`. */
static int add_own_attributes(Builder *self, PyObject *attributes, PyObject *record)
{
    PyObject *path = PyTuple_GET_ITEM(record, R_PATH), *query = PyTuple_GET_ITEM(record, R_QUERY);
    PyObject *ip = PyTuple_GET_ITEM(record, R_IP), *agent = PyTuple_GET_ITEM(record, R_AGENT), *shown, *done;
    if (!is_plain_path(path) || PyUnicode_GET_LENGTH(query)) {
        done = PyObject_CallFunctionObjArgs(self->add_own, attributes, path, query, ip, agent, NULL);
        Py_XDECREF(done);
        return done == NULL ? -1 : 0;
    }
    if (PyDict_SetItem(attributes, s_url_path, path) < 0
        || (PyUnicode_GET_LENGTH(ip) && PyDict_SetItem(attributes, s_client_address, ip) < 0))
        return -1;
    if (PyUnicode_GET_LENGTH(agent) == 0)
        return 0;
    if ((shown = agent_of(self, agent)) == NULL)
        return -1;
    int failed = PyDict_SetItem(attributes, s_user_agent_original, shown);
    Py_DECREF(shown);
    return failed;
}

/* What all requests of that kind have alike, owned: a pair of their attributes, and of a span's fields. */
static PyObject *alike_of(Builder *self, PyObject *record, PyObject *resource)
{
    if (self->resource != resource) {
        PyDict_Clear(self->known);
        Py_XSETREF(self->resource, Py_NewRef(resource));
    }
    PyObject *kind = PyTuple_GetSlice(record, R_OF_KIND, R_PATH);
    if (kind == NULL)
        return NULL;
    PyObject *alike = Py_XNewRef(PyDict_GetItemWithError(self->known, kind));
    if (alike == NULL && !PyErr_Occurred()) {
        PyObject *arguments[2] = {kind, resource};
        alike = PyObject_Vectorcall(self->alike, arguments, 2, NULL);
        if (alike != NULL
            && (!PyTuple_CheckExact(alike) || PyTuple_GET_SIZE(alike) != 2 || !PyDict_CheckExact(PyTuple_GET_ITEM(alike, 0))
                || !PyDict_CheckExact(PyTuple_GET_ITEM(alike, 1)))) {
            PyErr_SetString(PyExc_TypeError, "alike returns two dicts");
            Py_CLEAR(alike);
        }
        if (alike != NULL && PyDict_GET_SIZE(self->known) >= 2000)
            PyDict_Clear(self->known);
        if (alike != NULL && self->resource == resource && PyDict_SetItem(self->known, kind, alike) < 0)
            Py_CLEAR(alike);
    }
    Py_DECREF(kind);
    return alike;
}

static int set_times(Builder *self, PyObject *fields, PyObject *record)
{
    PyObject *start = PyTuple_GET_ITEM(record, R_START), *elapsed, *end;
    elapsed = PyLong_FromLongLong((long long)(PyFloat_AS_DOUBLE(PyTuple_GET_ITEM(record, R_ELAPSED)) * 1e9));
    end = elapsed == NULL ? NULL : PyNumber_Add(start, elapsed);
    int failed = end == NULL || PyDict_SetItem(fields, PyTuple_GET_ITEM(self->names, F_START), start) < 0
                 || PyDict_SetItem(fields, PyTuple_GET_ITEM(self->names, F_END), end) < 0;
    Py_XDECREF(elapsed);
    Py_XDECREF(end);
    return failed ? -1 : 0;
}

PyDoc_STRVAR(built_doc, "built(record, resource)\n--\n\nReturn the span of a record.");

static PyObject *builder_built(Builder *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "built takes a record and a resource");
        return NULL;
    }
    PyObject *record = args[0], *alike, *attributes = NULL, *fields = NULL, *span = NULL;
    if (!is_usual(record))
        return PyObject_Vectorcall(self->slow, args, 2, NULL);
    if ((alike = alike_of(self, record, args[1])) == NULL)
        return NULL;
    PyObject *more = PyTuple_GET_ITEM(record, R_MORE);
    if ((attributes = PyDict_Copy(PyTuple_GET_ITEM(alike, 0))) == NULL
        || (fields = PyDict_Copy(PyTuple_GET_ITEM(alike, 1))) == NULL || add_own_attributes(self, attributes, record) < 0
        || (more != Py_None && PyDict_Update(attributes, more) < 0) || set_contexts(self, fields, record) < 0
        || set_times(self, fields, record) < 0
        || PyDict_SetItem(fields, PyTuple_GET_ITEM(self->names, F_ATTRIBUTES), attributes) < 0)
        goto end;
    PyTypeObject *type = (PyTypeObject *)self->span_type;
    if ((span = type->tp_alloc(type, 0)) != NULL && PyObject_GenericSetDict(span, fields, NULL) < 0)
        Py_CLEAR(span);
end:
    Py_DECREF(alike);
    Py_XDECREF(attributes);
    Py_XDECREF(fields);
    return span;
}

static PyObject *builder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
#define NAME_OF(name) #name,
        BUILDER_OBJECTS(NAME_OF) NULL};
#undef NAME_OF
    Builder given, *self;
    memset(&given, 0, sizeof given);
#define PLACE_OF(name) , &given.name
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$OOOOOOOOO", names BUILDER_OBJECTS(PLACE_OF)))
        return NULL;
#undef PLACE_OF
    if (!PyType_Check(given.span_type) || !PyType_Check(given.context_type)
        || !PyType_IsSubtype((PyTypeObject *)given.context_type, &PyTuple_Type) || !PyTuple_CheckExact(given.names)
        || PyTuple_GET_SIZE(given.names) != FIELDS || !PyTuple_CheckExact(given.flags) || PyTuple_GET_SIZE(given.flags) != FLAGS) {
        PyErr_SetString(PyExc_TypeError, "an argument is not of the type that it must be");
        return NULL;
    }
    if ((self = (Builder *)type->tp_alloc(type, 0)) == NULL)
        return NULL;
#define KEEP(name) self->name = Py_NewRef(given.name);
    BUILDER_OBJECTS(KEEP)
#undef KEEP
    self->resource = Py_NewRef(Py_None);
    self->known = PyDict_New();
    self->agents = PyDict_New();
    if (self->known == NULL || self->agents == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int builder_traverse(Builder *self, visitproc visit, void *arg)
{
#define VISIT(name) Py_VISIT(self->name);
    BUILDER_OBJECTS(VISIT)
#undef VISIT
    Py_VISIT(self->known);
    Py_VISIT(self->agents);
    Py_VISIT(self->resource);
    return 0;
}

static void builder_dealloc(Builder *self)
{
    PyObject_GC_UnTrack(self);
#define FORGET(name) Py_XDECREF(self->name);
    BUILDER_OBJECTS(FORGET)
#undef FORGET
    Py_XDECREF(self->known);
    Py_XDECREF(self->agents);
    Py_XDECREF(self->resource);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef builder_methods[] = {
    {"built", (PyCFunction)(void (*)(void))builder_built, METH_FASTCALL, built_doc},
    {NULL},
};
static PyTypeObject BuilderType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obskit.signals._native.Builder",
    .tp_basicsize = sizeof(Builder),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "Makes spans of records.",
    .tp_new = builder_new,
    .tp_traverse = (traverseproc)builder_traverse,
    .tp_dealloc = (destructor)builder_dealloc,
    .tp_methods = builder_methods,
};
