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
        PyObject *type, *error, *trace;
        PyErr_Fetch(&type, &error, &trace);
        Py_XDECREF(PyObject_CallMethodNoArgs(self->sizes, s_pop));
        PyErr_Restore(type, error, trace);
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
    PyObject *add_item = PyObject_GetAttr(items, s_append);
    PyObject *add_size = add_item == NULL ? NULL : PyObject_GetAttr(sizes, s_append);
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

static int fan_clear(Fan *self)
{
    Py_XSETREF(self->intakes, PyTuple_New(0)); /* there is only one of these */
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
    .tp_clear = (inquiry)fan_clear,
    .tp_dealloc = (destructor)fan_dealloc,
    .tp_methods = fan_methods,
    .tp_getset = fan_getset,
};

/* ------------------------------------------------------------------ counts by bucket, as `buckets._Buckets` */

typedef struct {
    PyObject_VAR_HEAD
    Py_ssize_t since; /* how many have come since it was settled */
    double sum, least, most;
    struct { double bound; long long count; } each[]; /* the last one has no bound */
} Buckets;

enum { MOST_SINCE = 256 };

static PyTypeObject BucketsType;

static int count_value(Buckets *self, double value) /* whether it is time to settle */
{
    Py_ssize_t low = 0, high = Py_SIZE(self) - 1;
    while (low < high) { /* as bisect_left */
        Py_ssize_t middle = (low + high) / 2;
        if (self->each[middle].bound < value)
            low = middle + 1;
        else
            high = middle;
    }
    self->each[low].count++;
    self->sum += value;
    if (value < self->least)
        self->least = value;
    if (value > self->most)
        self->most = value;
    return ++self->since > MOST_SINCE;
}

PyDoc_STRVAR(buckets_add_doc, "add(value)\n--\n\nCount a value; return whether it is time to settle.");

static PyObject *buckets_add(Buckets *self, PyObject *number)
{
    double value = PyFloat_AsDouble(number);
    return value == -1.0 && PyErr_Occurred() ? NULL : PyBool_FromLong(count_value(self, value));
}

PyDoc_STRVAR(buckets_settle_doc, "settle()\n--\n\nBegin to wait for more.");

static PyObject *buckets_settle(Buckets *self, PyObject *Py_UNUSED(none))
{
    self->since = 0;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(buckets_figures_doc, "figures()\n--\n\nReturn the counts by bucket, the sum, the least and the greatest value.");

static PyObject *buckets_figures(Buckets *self, PyObject *Py_UNUSED(none))
{
    PyObject *counts = PyTuple_New(Py_SIZE(self));
    for (Py_ssize_t place = 0; counts != NULL && place < Py_SIZE(self); place++) {
        PyObject *count = PyLong_FromLongLong(self->each[place].count);
        if (count == NULL)
            Py_CLEAR(counts);
        else
            PyTuple_SET_ITEM(counts, place, count);
    }
    return counts == NULL ? NULL : Py_BuildValue("(Nddd)", counts, self->sum, self->least, self->most);
}

static PyObject *buckets_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"bounds", NULL};
    PyObject *bounds;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!", names, &PyTuple_Type, &bounds))
        return NULL;
    Py_ssize_t size = PyTuple_GET_SIZE(bounds);
    Buckets *self = (Buckets *)type->tp_alloc(type, size + 1);
    if (self == NULL)
        return NULL;
    self->least = Py_HUGE_VAL;
    self->most = -Py_HUGE_VAL;
    for (Py_ssize_t place = 0; place < size; place++) {
        self->each[place].bound = PyFloat_AsDouble(PyTuple_GET_ITEM(bounds, place));
        if (PyErr_Occurred()) {
            Py_DECREF(self);
            return NULL;
        }
    }
    return (PyObject *)self;
}

static PyMethodDef buckets_methods[] = {
    {"add", (PyCFunction)buckets_add, METH_O, buckets_add_doc},
    {"settle", (PyCFunction)buckets_settle, METH_NOARGS, buckets_settle_doc},
    {"figures", (PyCFunction)buckets_figures, METH_NOARGS, buckets_figures_doc},
    {NULL},
};
static PyTypeObject BucketsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obskit.signals._native.Buckets",
    .tp_basicsize = sizeof(Buckets),
    .tp_itemsize = sizeof(((Buckets *)NULL)->each[0]),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "The figures of a histogram.",
    .tp_new = buckets_new,
    .tp_methods = buckets_methods,
};

/* ------------------------------------------------------------------ lines that share a write, as `gathering._Gathered` */

/* A request's line that is not made yet. Those of a few milliseconds are made in one go: the code that makes a line, and
   the texts in it, are out of the processor's caches by the time that the next request ends, but not for the next line. */
typedef struct {
    PyObject *path; /* the Path that the request took */
    PyObject *series, *record;
    long long sent, received; /* bytes; the latter is -1 where it is not known */
} Later;

/* One piece of memory, which is written as it is: a text for each line, and their joint and encoded copies, would go
   through several times as much of the processor's cache. */
typedef struct {
    PyObject_HEAD
    PyObject *bytes; /* longer than what is in it; NULL when nothing is */
    Py_ssize_t size;
    Later *later; /* come behind the bytes */
    Py_ssize_t count, room;
    Py_ssize_t usual; /* room that the next bytes begin with: what the last ones took, and some more */
    double until;
} Gathered;

enum { LEAST_ROOM = 1 << 15, MOST_USUAL = 1 << 18, LEAST_LATER = 64 };

static PyTypeObject GatheredType;

static int gather_bytes(Gathered *self, const char *data, Py_ssize_t size)
{
    Py_ssize_t room = self->bytes == NULL ? 0 : PyBytes_GET_SIZE(self->bytes);
    if (size > room - self->size) {
        room = 2 * (self->size + size);
        room = room < self->usual ? self->usual : room;
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

/* Add a line that is to be made later. Returns -1 where there is no memory, without an exception. */
static int gather_later(Gathered *self, PyObject *path, PyObject *series, PyObject *record, long long sent, long long received)
{
    if (self->count == self->room) {
        Py_ssize_t room = self->room ? 2 * self->room : LEAST_LATER;
        Later *more = PyMem_Realloc(self->later, room * sizeof(Later));
        if (more == NULL)
            return -1;
        self->later = more;
        self->room = room;
    }
    self->later[self->count++] = (Later){Py_NewRef(path), Py_NewRef(series), Py_NewRef(record), sent, received};
    return 0;
}

static void forget_later(Later *later, Py_ssize_t count)
{
    for (Py_ssize_t place = 0; place < count; place++) {
        Py_DECREF(later[place].path);
        Py_DECREF(later[place].series);
        Py_DECREF(later[place].record);
    }
}

/* Make a line and add its bytes. Returns -1 with an exception, and then nothing has been added. */
static int make_later(Gathered *self, const Later *later);

/* Make those that there are now. Returns -1 with an exception, with nothing lost. */
static int make_some(Gathered *self)
{
    Later *taken = self->later; /* Python may run, and come here or add more */
    Py_ssize_t count = self->count, room = self->room;
    PyObject *type = NULL, *error = NULL, *trace = NULL;
    self->later = NULL;
    self->count = self->room = 0;
    for (Py_ssize_t place = 0; place < count; place++)
        if (make_later(self, &taken[place]) < 0) { /* a signal's handler has raised; it does so once */
            Py_XDECREF(type);
            Py_XDECREF(error);
            Py_XDECREF(trace);
            PyErr_Fetch(&type, &error, &trace);
            const Later *each = &taken[place];
            if (make_later(self, each) < 0) { /* or again; then it comes later than others */
                PyErr_Clear();
                gather_later(self, each->path, each->series, each->record, each->sent, each->received);
            }
        }
    forget_later(taken, count);
    if (self->later == NULL) { /* as most times: to be used again */
        self->later = taken;
        self->room = room;
    }
    else
        PyMem_Free(taken);
    if (type == NULL)
        return 0;
    PyErr_Restore(type, error, trace);
    return -1;
}

/* Make the lines that are to be made, also those that come from elsewhere meanwhile: nobody may write them soon. Returns
   -1 with an exception, with nothing lost. */
static int make_all(Gathered *self)
{
    while (self->count)
        if (make_some(self) < 0)
            return -1;
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
    if (make_all(self) < 0)
        return NULL;
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
    if (make_all(self) < 0)
        return NULL;
    PyObject *taken = self->bytes;
    Py_ssize_t size = self->size;
    self->bytes = NULL;
    self->size = 0;
    if (taken == NULL)
        return PyBytes_FromStringAndSize(NULL, 0);
    self->usual = size < MOST_USUAL ? size + size / 4 : MOST_USUAL;
    _PyBytes_Resize(&taken, size); /* NULL with an exception where that failed */
    return taken;
}

static Py_ssize_t gathered_length(Gathered *self) { return self->size + self->count; }

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
    forget_later(self->later, self->count);
    PyMem_Free(self->later);
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

/* ------------------------------------------------------------------ what is kept of a request, as `ended.record_of` */

/* Where a record has what. */
enum {
    R_TRACE, R_SPAN, R_SAMPLED, R_PARENT, R_PARENT_SAMPLED, R_STATES, R_START, R_ELAPSED, R_OF_KIND,
    R_STATUS = R_OF_KIND + 2, R_SCHEME = R_OF_KIND + 4, R_HOST, R_PATH = 15,
    R_QUERY, R_IP, R_AGENT, R_MORE, RECORD_SIZE
};

/* A tuple of these would take five times the memory, in ten pieces, and records wait by the hundred: what the processor
   has at hand would be gone when the next request comes. It is read as a tuple is, which is made of it then. */
typedef struct {
    PyObject_HEAD
    uint64_t trace_id[2], span_id, parent_id; /* the last is 0 where there is none */
    long long start_ns;
    double elapsed_s;
    PyObject *kind; /* what all requests of one kind have alike, a tuple that they share */
    PyObject *path, *query, *remote_ip, *user_agent;
    char is_parent_sampled;
} Record;

static PyTypeObject RecordType;

static const unsigned char digit_of[256] = { /* of hex, lower case */
    [0 ... 255] = 16, ['0'] = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ['a'] = 10, 11, 12, 13, 14, 15,
};

/* Read a number of 16 hex digits. Returns 0 where it is none. */
static int read_hex(const char *text, uint64_t *number)
{
    int wrong = 0;
    *number = 0;
    for (int index = 0; index < 16; index++) {
        int digit = digit_of[(unsigned char)text[index]];
        wrong |= digit;
        *number = *number << 4 | (digit & 15);
    }
    return !(wrong & 16);
}

/* Read a text that is an id of 16 digits for each of `words`. Returns 0 where it is none. */
static int read_id(PyObject *text, uint64_t *words, int count)
{
    uint64_t any = 0;
    if (!PyUnicode_IS_COMPACT_ASCII(text) || PyUnicode_GET_LENGTH(text) != 16 * count)
        return 0;
    for (int word = 0; word < count; word++) {
        if (!read_hex((const char *)PyUnicode_1BYTE_DATA(text) + 16 * word, &words[word]))
            return 0;
        any |= words[word];
    }
    return any != 0;
}

static PyObject *text_of_id(const uint64_t *words, int count)
{
    PyObject *text = PyUnicode_New(16 * count, 127);
    for (int word = 0; text != NULL && word < count; word++)
        hex((char *)PyUnicode_1BYTE_DATA(text) + 16 * word, words[word]);
    return text;
}

static PyObject *record_item(Record *self, Py_ssize_t place)
{
    switch (place) {
    case R_TRACE: return text_of_id(self->trace_id, 2);
    case R_SPAN: return text_of_id(&self->span_id, 1);
    case R_SAMPLED: Py_RETURN_TRUE;
    case R_PARENT: return self->parent_id ? text_of_id(&self->parent_id, 1) : Py_NewRef(s_empty);
    case R_PARENT_SAMPLED: return PyBool_FromLong(self->is_parent_sampled);
    case R_STATES: return Py_NewRef(s_empty);
    case R_START: return PyLong_FromLongLong(self->start_ns);
    case R_ELAPSED: return PyFloat_FromDouble(self->elapsed_s);
    case R_PATH: return Py_NewRef(self->path);
    case R_QUERY: return Py_NewRef(self->query);
    case R_IP: return Py_NewRef(self->remote_ip);
    case R_AGENT: return Py_NewRef(self->user_agent);
    case R_MORE: Py_RETURN_NONE;
    default: break;
    }
    if (place >= R_OF_KIND && place < R_PATH)
        return Py_NewRef(PyTuple_GET_ITEM(self->kind, place - R_OF_KIND));
    PyErr_SetString(PyExc_IndexError, "record index out of range");
    return NULL;
}

static PyObject *record_subscript(Record *self, PyObject *key)
{
    Py_ssize_t start, stop, step;
    if (!PySlice_Check(key)) {
        Py_ssize_t place = PyNumber_AsSsize_t(key, PyExc_IndexError);
        return place == -1 && PyErr_Occurred() ? NULL : record_item(self, place < 0 ? place + RECORD_SIZE : place);
    }
    if (PySlice_Unpack(key, &start, &stop, &step) < 0)
        return NULL;
    Py_ssize_t size = PySlice_AdjustIndices(RECORD_SIZE, &start, &stop, step);
    if (start == R_OF_KIND && stop == R_PATH && step == 1)
        return Py_NewRef(self->kind);
    PyObject *items = PyTuple_New(size);
    for (Py_ssize_t place = 0; items != NULL && place < size; place++) {
        PyObject *item = record_item(self, start + place * step);
        if (item == NULL)
            Py_CLEAR(items);
        else
            PyTuple_SET_ITEM(items, place, item);
    }
    return items;
}

static Py_ssize_t record_length(Record *Py_UNUSED(self)) { return RECORD_SIZE; }

static void record_dealloc(Record *self)
{
    Py_XDECREF(self->kind);
    Py_XDECREF(self->path);
    Py_XDECREF(self->query);
    Py_XDECREF(self->remote_ip);
    Py_XDECREF(self->user_agent);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PySequenceMethods record_sequence = {.sq_length = (lenfunc)record_length, .sq_item = (ssizeargfunc)record_item};
static PyMappingMethods record_mapping = {
    .mp_length = (lenfunc)record_length, .mp_subscript = (binaryfunc)record_subscript,
};
/* Texts, and a tuple of texts: it is in no cycle, and the garbage collector need not know of it. */
static PyTypeObject RecordType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obskit.signals._native.Record",
    .tp_basicsize = sizeof(Record),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_SEQUENCE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "What is kept of the span of a request that has ended, read as the tuple of `ended.record_of`.",
    .tp_dealloc = (destructor)record_dealloc,
    .tp_as_sequence = &record_sequence,
    .tp_as_mapping = &record_mapping,
};

enum { MOST_KINDS = 64 };
static PyObject *known_kinds[MOST_KINDS];

/* The tuple of what all requests of one kind have alike, owned: the one that was made before, if it is still known. */
static PyObject *kind_of(PyObject *const *values)
{
    size_t place = 0;
    for (int index = 0; index < R_PATH - R_OF_KIND; index++) {
        Py_hash_t hash = PyObject_Hash(values[index]); /* texts know theirs, numbers are theirs */
        if (hash == -1)
            return NULL;
        place = place * 31 + (size_t)hash;
    }
    PyObject **known = &known_kinds[place % MOST_KINDS];
    int is_same = *known != NULL;
    for (int index = 0; is_same && index < R_PATH - R_OF_KIND; index++) {
        PyObject *own = PyTuple_GET_ITEM(*known, index), *value = values[index];
        if (own != value)
            is_same = PyUnicode_CheckExact(own) && PyUnicode_CheckExact(value) && PyUnicode_GET_LENGTH(own) == PyUnicode_GET_LENGTH(value)
                      && PyUnicode_Compare(own, value) == 0;
    }
    if (is_same)
        return Py_NewRef(*known);
    PyObject *kind = PyTuple_New(R_PATH - R_OF_KIND);
    if (kind == NULL)
        return NULL;
    for (int index = 0; index < R_PATH - R_OF_KIND; index++)
        PyTuple_SET_ITEM(kind, index, Py_NewRef(values[index]));
    Py_XSETREF(*known, Py_NewRef(kind)); /* texts and a number: nothing runs when they go */
    return kind;
}

/* Ids as numbers; a parent of 0 is none. */
typedef struct {
    uint64_t trace_id[2], span_id, parent_id;
    char is_parent_sampled;
} Ids;

static int read_ids(PyObject *const *values, Ids *ids) /* returns 0 where they are not as most are */
{
    ids->parent_id = 0;
    ids->is_parent_sampled = values[R_PARENT_SAMPLED] == Py_True;
    return read_id(values[R_TRACE], ids->trace_id, 2) && read_id(values[R_SPAN], &ids->span_id, 1)
           && (PyUnicode_GET_LENGTH(values[R_PARENT]) == 0 || read_id(values[R_PARENT], &ids->parent_id, 1))
           && PyUnicode_GET_LENGTH(values[R_STATES]) == 0;
}

/* NULL, without an exception, where a tuple must hold it. `values` are as `end_span` has checked them, their ids in
   `ids`; `kind` is what they have of `kind_of`, or NULL where that is not known. */
static Record *new_record(PyObject *const *values, const Ids *ids, PyObject *kind)
{
    Record *self = (Record *)RecordType.tp_alloc(&RecordType, 0);
    if (self == NULL) {
        PyErr_Clear();
        return NULL;
    }
    int is_usual = PyLong_CheckExact(values[R_STATUS]) && PyFloat_AS_DOUBLE(values[R_ELAPSED]) >= 0
                   && PyFloat_AS_DOUBLE(values[R_ELAPSED]) < 1e9;
    if (is_usual) {
        self->start_ns = PyLong_AsLongLong(values[R_START]);
        is_usual = !(self->start_ns == -1 && PyErr_Occurred()) 
                   && (self->kind = kind != NULL ? Py_NewRef(kind) : kind_of(values + R_OF_KIND)) != NULL;
    }
    if (!is_usual) {
        PyErr_Clear();
        Py_DECREF(self);
        return NULL;
    }
    self->trace_id[0] = ids->trace_id[0];
    self->trace_id[1] = ids->trace_id[1];
    self->span_id = ids->span_id;
    self->parent_id = ids->parent_id;
    self->is_parent_sampled = ids->is_parent_sampled;
    self->elapsed_s = PyFloat_AS_DOUBLE(values[R_ELAPSED]);
    self->path = Py_NewRef(values[R_PATH]);
    self->query = Py_NewRef(values[R_QUERY]);
    self->remote_ip = Py_NewRef(values[R_IP]);
    self->user_agent = Py_NewRef(values[R_AGENT]);
    return self;
}

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

/* A record, whichever way it is kept, with borrowed texts. */
typedef struct {
    uint64_t trace_id[2], span_id, parent_id;
    double elapsed_s;
    int is_sampled, is_parent_sampled;
    PyObject *start_ns, *kind, *path, *query, *remote_ip, *user_agent, *more; /* the first two are owned */
} View;

static void close_view(View *view)
{
    Py_XDECREF(view->start_ns);
    Py_XDECREF(view->kind);
}

/* Returns 0 where the record is not of a request, or not as most are; -1 with an exception. */
static int open_view(View *view, PyObject *record)
{
    memset(view, 0, sizeof *view);
    if (Py_IS_TYPE(record, &RecordType)) {
        Record *own = (Record *)record;
        *view = (View){
            {own->trace_id[0], own->trace_id[1]}, own->span_id, own->parent_id, own->elapsed_s, 1, own->is_parent_sampled,
            PyLong_FromLongLong(own->start_ns), Py_NewRef(own->kind), own->path, own->query, own->remote_ip,
            own->user_agent, Py_None,
        };
        return view->start_ns == NULL ? -1 : 1;
    }
    static const int texts[] = {R_TRACE, R_SPAN, R_PARENT, R_STATES, R_PATH, R_QUERY, R_IP, R_AGENT};
    if (!PyTuple_CheckExact(record) || PyTuple_GET_SIZE(record) != RECORD_SIZE)
        return 0;
    PyObject **items = ((PyTupleObject *)record)->ob_item, *more = items[R_MORE];
    for (size_t index = 0; index < sizeof texts / sizeof *texts; index++)
        if (!PyUnicode_CheckExact(items[texts[index]]))
            return 0;
    if (!read_id(items[R_TRACE], view->trace_id, 2) || !read_id(items[R_SPAN], &view->span_id, 1)
        || (PyUnicode_GET_LENGTH(items[R_PARENT]) && !read_id(items[R_PARENT], &view->parent_id, 1))
        || PyUnicode_GET_LENGTH(items[R_STATES]) || !PyBool_Check(items[R_SAMPLED]) || !PyBool_Check(items[R_PARENT_SAMPLED])
        || !PyLong_CheckExact(items[R_START]) || !PyFloat_CheckExact(items[R_ELAPSED])
        || (more != Py_None && !PyDict_CheckExact(more)))
        return 0;
    view->elapsed_s = PyFloat_AS_DOUBLE(items[R_ELAPSED]);
    if (!(view->elapsed_s >= 0 && view->elapsed_s < 1e9))
        return 0;
    if ((view->kind = PyTuple_GetSlice(record, R_OF_KIND, R_PATH)) == NULL)
        return -1;
    view->is_sampled = items[R_SAMPLED] == Py_True;
    view->is_parent_sampled = items[R_PARENT_SAMPLED] == Py_True;
    view->start_ns = Py_NewRef(items[R_START]);
    view->path = items[R_PATH];
    view->query = items[R_QUERY];
    view->remote_ip = items[R_IP];
    view->user_agent = items[R_AGENT];
    view->more = more;
    return 1;
}

static PyObject *number_of(const uint64_t *words, int count)
{
    if (count == 1)
        return PyLong_FromUnsignedLongLong(words[0]);
    unsigned char bytes[16];
    for (int index = 0; index < 16; index++)
        bytes[index] = (unsigned char)(words[index / 8] >> (56 - index % 8 * 8));
    return _PyLong_FromByteArray(bytes, sizeof bytes, 0, 0);
}

/* A `SpanContext`, whose ids have been checked; takes no reference. */
static PyObject *context_of(Builder *self, PyObject *trace_id, uint64_t span, PyObject *is_remote, int flags)
{
    PyObject *span_id = number_of(&span, 1);
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
static int set_contexts(Builder *self, PyObject *fields, const View *view)
{
    PyObject *trace_id = number_of(view->trace_id, 2), *context;
    if (trace_id == NULL)
        return -1;
    int has_parent = view->parent_id != 0;
    int flags = view->is_sampled ? (has_parent ? SAMPLED_FLAGS : SAMPLED_ROOT_FLAGS)
                                 : (has_parent ? UNSAMPLED_FLAGS : UNSAMPLED_ROOT_FLAGS);
    int failed = (context = context_of(self, trace_id, view->span_id, Py_False, flags)) == NULL
                 || PyDict_SetItem(fields, PyTuple_GET_ITEM(self->names, F_CONTEXT), context) < 0;
    Py_XDECREF(context);
    context = NULL;
    if (!failed && has_parent) {
        flags = view->is_parent_sampled ? SAMPLED_FLAGS : UNSAMPLED_FLAGS;
        failed = (context = context_of(self, trace_id, view->parent_id, Py_True, flags)) == NULL;
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
static int add_own_attributes(Builder *self, PyObject *attributes, const View *view)
{
    PyObject *path = view->path, *query = view->query, *ip = view->remote_ip, *agent = view->user_agent, *shown, *done;
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
static PyObject *alike_of(Builder *self, PyObject *kind, PyObject *resource)
{
    if (self->resource != resource) {
        PyDict_Clear(self->known);
        Py_XSETREF(self->resource, Py_NewRef(resource));
    }
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
    return alike;
}

static int set_times(Builder *self, PyObject *fields, const View *view)
{
    PyObject *elapsed = PyLong_FromLongLong((long long)(view->elapsed_s * 1e9));
    PyObject *end = elapsed == NULL ? NULL : PyNumber_Add(view->start_ns, elapsed);
    int failed = end == NULL || PyDict_SetItem(fields, PyTuple_GET_ITEM(self->names, F_START), view->start_ns) < 0
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
    PyObject *alike = NULL, *attributes = NULL, *fields = NULL, *span = NULL;
    View view;
    int is_usual = open_view(&view, args[0]);
    if (is_usual == 0)
        return PyObject_Vectorcall(self->slow, args, 2, NULL);
    if (is_usual < 0 || (alike = alike_of(self, view.kind, args[1])) == NULL
        || (attributes = PyDict_Copy(PyTuple_GET_ITEM(alike, 0))) == NULL
        || (fields = PyDict_Copy(PyTuple_GET_ITEM(alike, 1))) == NULL || add_own_attributes(self, attributes, &view) < 0
        || (view.more != Py_None && PyDict_Update(attributes, view.more) < 0) || set_contexts(self, fields, &view) < 0
        || set_times(self, fields, &view) < 0
        || PyDict_SetItem(fields, PyTuple_GET_ITEM(self->names, F_ATTRIBUTES), attributes) < 0)
        goto end;
    PyTypeObject *type = (PyTypeObject *)self->span_type;
#if PY_VERSION_HEX >= 0x030D0000 /* attributes are looked for within the object, unless they are told of the dict */
    if ((span = type->tp_alloc(type, 0)) != NULL && PyObject_SetAttr(span, s___dict__, fields) < 0)
#else
    if ((span = type->tp_alloc(type, 0)) != NULL && PyObject_GenericSetDict(span, fields, NULL) < 0)
#endif
        Py_CLEAR(span);
end:
    close_view(&view);
    Py_XDECREF(alike);
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
