/* The way of a plain ASGI request, in C: what `asgi.ASGIMiddleware` and `requests.Observer` do for most requests.

   Python is the reference. Whatever is out of the ordinary (another instrumentation, a span around, bound fields, an
   error, a server's error, a path that may hold a secret, …) is left to it, from the very point on where it shows:
   `begin` returns None before it has changed anything, and `_finish` hands the state over to `Observer.body_sent`.
   Objects are those that Python makes. A request that Python serves runs through some thousand byte codes, each read and
   predicted once. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <ctype.h>
#include <dlfcn.h>
#include <stdint.h>
#include <time.h>

/* ------------------------------------------------------------------ slots of Python's classes */

/* Of `context.RequestState`, those first that begin with the same value. */
#define STATE_FIELDS(X)                                                                                                \
    X(ROUTE, "_route") X(USER_AGENT, "user_agent")                                                                     \
    X(REFERRER, "referrer") X(HOST, "host") X(QUERY, "query")                                                          \
    X(SPAN, "span") X(ERROR, "error") X(ON_LEAVING, "on_leaving") X(LOG_FIELDS, "log_fields")                          \
    X(SAMPLED, "sampled") X(TRAILERS, "has_trailers") X(DISCONNECTED, "is_disconnected")                               \
    X(REPORTED, "is_error_reported") X(FINISHED, "is_finished")                                                        \
    X(RESPONSE_BYTES, "response_bytes") X(STATUS, "status") X(START_NS, "start_ns")                                    \
    X(AI_INPUT, "ai_input_tokens") X(AI_OUTPUT, "ai_output_tokens") X(AI_CALLS, "ai_calls")                            \
    X(AI_UNPRICED, "ai_unpriced_calls")                                                                                \
    X(REQUEST_BYTES, "request_bytes") X(BEGUN, "begun") X(AI_COST, "ai_cost_usd") X(ELAPSED, "elapsed_s")              \
    X(METHOD, "method") X(PATH, "path") X(SCHEME, "scheme") X(REMOTE_IP, "remote_ip") X(BOUND, "bound")                \
    X(LOCATE, "_locate") X(SOURCE, "_source")
enum {
#define FIELD(name, text) name,
    STATE_FIELDS(FIELD) TRACE_ID, SPAN_ID, STATE_SLOTS
};

/* The slots of `context.RequestState`, which is of this type where the module is used. Python's own would be found by
   offsets that are read from its class, which also is read whole when an object goes. */
typedef struct {
    PyObject_HEAD
    PyObject *slots[STATE_SLOTS];
    uint64_t trace_id[2], span_id; /* the slots get the texts when they are asked for: few requests need them */
    char has_trace, has_span;      /* whether those numbers are the ids, or texts that somebody has set */
} State;

#define AT(slot) ((Py_ssize_t)(offsetof(State, slots) + (slot) * sizeof(PyObject *)))
enum { BUCKETS, LAST, CELL_SLOTS };
static const char *const cell_slots[CELL_SLOTS] = {"buckets", "last"};

#define SLOT(object, offset) (*(PyObject **)((char *)(object) + (offset)))
#define STATE(state, name) (((State *)(state))->slots[name])

static int find_slots(PyTypeObject *type, const char *const *names, Py_ssize_t *offsets, int count)
{
    for (int index = 0; index < count; index++) {
        PyObject *member = PyObject_GetAttrString((PyObject *)type, names[index]);
        if (member == NULL)
            return -1;
        if (!Py_IS_TYPE(member, &PyMemberDescr_Type) || ((PyMemberDescrObject *)member)->d_member->type != T_OBJECT_EX) {
            PyErr_Format(PyExc_TypeError, "%s.%s is not a slot", type->tp_name, names[index]);
            Py_DECREF(member);
            return -1;
        }
        offsets[index] = ((PyMemberDescrObject *)member)->d_member->offset;
        Py_DECREF(member);
    }
    return 0;
}

/* A slot's value, owned; of that type, where one is given. NULL with an exception where the slot is not so. */
static PyObject *held(PyObject *object, Py_ssize_t offset, PyTypeObject *type)
{
    PyObject *value = SLOT(object, offset);
    if (value == NULL || (type != NULL && !Py_IS_TYPE(value, type))) {
        PyErr_Format(PyExc_TypeError, "a slot of %s has been emptied, or holds something else", Py_TYPE(object)->tp_name);
        return NULL;
    }
    return Py_NewRef(value);
}

static inline void put(PyObject *object, Py_ssize_t offset, PyObject *value) /* takes the reference */
{
    PyObject *before = SLOT(object, offset);
    SLOT(object, offset) = value;
    Py_XDECREF(before);
}

/* ------------------------------------------------------------------ names and constants */

#define NAMES(X)                                                                                                       \
    X(type) X(http) X(method) X(path) X(query_string) X(scheme) X(headers) X(client) X(root_path) X(route) X(fastapi)  \
    X(effective_route_context) X(status) X(body) X(more_body) X(trailers) X(append) X(add) X(fold) X(record) X(is_plain) \
    X(_is_taken) X(_failed) X(body_sent) X(finish) X(gather) X(write) X(OUTPUT) X(is_readable)   \
    X(running_loop) X(_trace) X(_ai) X(_query) X(_rest) X(_agent) X(_start) X(_complete) X(_send_any) X(_gathered)     \
    X(until) X(http_version) X(GET) X(end) X(line) X(pop) X(put) X(is_excluded) X(disconnected) X(_closed) X(throw) X(close) X(_await) X(cr_frame) X(_is_readable) X(__self__) X(__dict__)
#define DECLARE(name) static PyObject *s_##name;
NAMES(DECLARE)
static PyObject *s_seen, *s_seen_by_fastapi, *s_seen_by_starlette, *s_root, *s_start_type, *s_body_type, *s_mark;
static PyObject *s_url_path, *s_client_address, *s_user_agent_original;
static PyObject *s_empty, *zero, *minus_one, *zero_f, *minus_one_f, *no_fields, *no_arguments;

/* Whether the path is as `shown.is_plain_path` wants it. */
static int is_plain_path(PyObject *path)
{
    if (!PyUnicode_IS_ASCII(path))
        return 0;
    const char *text = (const char *)PyUnicode_1BYTE_DATA(path);
    Py_ssize_t size = PyUnicode_GET_LENGTH(path);
    int segments = 0, length = 0;
    if (size == 0 || text[0] != '/')
        return 0;
    for (Py_ssize_t index = 0; index < size; index++) {
        char sign = text[index];
        if (sign == '/') {
            if (++segments > 20)
                return 0;
            length = 0;
        }
        else if ((sign >= 'a' && sign <= 'z') || (sign >= 'A' && sign <= 'Z') || (sign >= '0' && sign <= '9')
                 || sign == '_' || sign == '.' || sign == '~' || sign == '-') {
            if (++length > 12)
                return 0;
        }
        else
            return 0;
    }
    return 1;
}

static void hex(char *out, uint64_t value)
{
    static const char digits[] = "0123456789abcdef";
    for (int index = 15; index >= 0; index--, value >>= 4)
        out[index] = digits[value & 15];
}

#include "_native_export.c"

/* An id as text, borrowed; NULL with an exception. */
static PyObject *id_text(State *state, int slot)
{
    PyObject **place = &state->slots[slot];
    if (*place == NULL && (slot == TRACE_ID ? state->has_trace : state->has_span))
        *place = slot == TRACE_ID ? text_of_id(state->trace_id, 2) : text_of_id(&state->span_id, 1);
    if (*place == NULL && !PyErr_Occurred())
        PyErr_Format(PyExc_AttributeError, "'%.200s' object has no attribute '%s'", Py_TYPE(state)->tp_name,
                     slot == TRACE_ID ? "trace_id" : "span_id");
    return *place;
}

/* ------------------------------------------------------------------ ids: a generator of this process's own */

static uint64_t random_state[4] = {1, 2, 3, 4}; /* until `seed` is called, at import */

static inline uint64_t turned(uint64_t value, int by) { return (value << by) | (value >> (64 - by)); }

static uint64_t random_bits(void) /* xoshiro256++, Blackman and Vigna, public domain: an id, not a secret */
{
    uint64_t *s = random_state, result = turned(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = turned(s[3], 45);
    return result;
}

static void new_id(uint64_t *words, int count)
{
    uint64_t any = 0;
    do
        for (int word = 0; word < count; word++)
            any |= words[word] = random_bits();
    while (any == 0); /* no valid id */
}

static PyObject *seed(PyObject *Py_UNUSED(module), PyObject *bytes)
{
    if (!PyBytes_Check(bytes) || PyBytes_GET_SIZE(bytes) != sizeof random_state) {
        PyErr_SetString(PyExc_ValueError, "32 bytes");
        return NULL;
    }
    memcpy(random_state, PyBytes_AS_STRING(bytes), sizeof random_state);
    random_state[0] |= 1; /* all zeros would stay so */
    Py_RETURN_NONE;
}

static PyObject *load_library(PyObject *Py_UNUSED(module), PyObject *path)
{
    PyObject *name;
    if (!PyUnicode_FSConverter(path, &name))
        return NULL;
    void *library;
    Py_BEGIN_ALLOW_THREADS
    library = dlopen(PyBytes_AS_STRING(name), RTLD_NOW | RTLD_LOCAL); /* stays open, as what the import opens */
    Py_END_ALLOW_THREADS
    Py_DECREF(name);
    return PyBool_FromLong(library != NULL);
}

/* ------------------------------------------------------------------ the path and the exchange */

/* What the last request of a route was made into, for the next one, which most times is the same. */
typedef struct {
    PyObject *route, *method, *status, *scheme, *series; /* a key of `Observer.series`, and what it leads to */
    PyObject *host, *protocol, *kind;                    /* what else `kind_of` looks at, and what it returned */
} Known;
enum { KNOWN_FIELDS = sizeof(Known) / sizeof(PyObject *), MOST_ROUTES = 16 };

typedef struct {
    PyObject_HEAD
    PyObject *observer, *observer_type, *state_type, *span_type, *cell_type, *exchange_type, *context_type;
    PyObject *request_var, *bound_var, *otel_var, *span_key, *spans, *provider, *submit, *series, *caller_of;
    PyObject *lines, *agents, *starts, *logs, *loops, *own_leave, *excluded;
    Py_ssize_t cell_offsets[CELL_SLOTS];
    int takes_all;
    int is_json; /* the last line was no readable one */
    double thick_s, last_ended;
    Fan *fan; /* whose method `submit` is, borrowed of it; NULL where it is another's */
    Gathered *lines_waiting; /* those that were waiting last, or NULL */
    PyObject *last_start; /* scheme, host and what `start_of` made of them, a tuple; or NULL */
    Known known[MOST_ROUTES]; /* by the address of their route */
    long long second; /* of `moment` */
    char second_text[24];
} Path;

#define PATH_OBJECTS(X)                                                                                                \
    X(observer) X(observer_type) X(state_type) X(span_type) X(cell_type) X(exchange_type) X(context_type)             \
    X(request_var) X(bound_var) X(otel_var) X(span_key) X(spans) X(provider) X(submit) X(series) X(caller_of)          \
    X(lines) X(agents) X(starts) X(logs) X(loops) X(own_leave) X(excluded)

typedef struct {
    PyObject_HEAD
    Path *native;
    PyObject *observer, *state, *receive, *send, *routes, *request_token, *otel_token;
} Exchange;

/* The span of a request that is served here; its Python class is of `spans.RequestSpan` too, which knows the rest. */
typedef struct {
    PyObject_HEAD
    PyObject *spans, *state, *protocol, *live;
    PyObject *caller; /* NULL until it is asked for, where all of it is in `ids` */
    Ids ids;
    char is_ended;
} Span;

static PyTypeObject PathType, StateType, ExchangeType, SpanType, CompletionType;

static double perf_counter(void) /* as Python's on Linux */
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)((long long)now.tv_sec * 1000000000 + now.tv_nsec) / 1e9;
}

/* ------------------------------------------------------------------ begin */

static PyObject *latin(PyObject *bytes, Py_ssize_t most)
{
    Py_ssize_t size = PyBytes_GET_SIZE(bytes);
    return PyUnicode_DecodeLatin1(PyBytes_AS_STRING(bytes), size > most ? most : size, NULL);
}

enum { MOST_KNOWN = 64, MOST_KNOWN_BYTES = 256 };
static struct { PyObject *bytes, *text; } known_texts[MOST_KNOWN];

/* As `latin`, of a header that is the same for many requests: one text for all of them, whose hash is known, and which
   spans that wait share. */
static PyObject *known_latin(PyObject *bytes, Py_ssize_t most)
{
    Py_ssize_t size = PyBytes_GET_SIZE(bytes);
    if (size == 0 || size > MOST_KNOWN_BYTES || size > most)
        return latin(bytes, most);
    const unsigned char *data = (const unsigned char *)PyBytes_AS_STRING(bytes);
    size_t place = (size_t)size * 31 + data[0] + data[size / 2] * 7u + data[size - 1] * 13u + data[size * 3 / 4] * 17u;
    place %= MOST_KNOWN;
    PyObject *known = known_texts[place].bytes;
    if (known != NULL && PyBytes_GET_SIZE(known) == size && memcmp(PyBytes_AS_STRING(known), data, size) == 0)
        return Py_NewRef(known_texts[place].text);
    PyObject *text = latin(bytes, most);
    if (text != NULL) {
        Py_XSETREF(known_texts[place].bytes, Py_NewRef(bytes)); /* texts and bytes: nothing runs when they go */
        Py_XSETREF(known_texts[place].text, Py_NewRef(text));
    }
    return text;
}

/* Read the span that the request was sent from, as most callers say it. Returns 0 where it is not so. */
static int read_caller(Ids *ids, PyObject *parent)
{
    if (parent == NULL || PyBytes_GET_SIZE(parent) != 55)
        return 0;
    const char *text = PyBytes_AS_STRING(parent);
    int flags = digit_of[(unsigned char)text[54]];
    ids->is_parent_sampled = flags & 1;
    return memcmp(text, "00-", 3) == 0 && text[35] == '-' && text[52] == '-' && text[53] == '0' && flags < 16
           && read_hex(text + 3, &ids->trace_id[0]) && read_hex(text + 19, &ids->trace_id[1])
           && read_hex(text + 36, &ids->parent_id) && (ids->trace_id[0] | ids->trace_id[1]) != 0 && ids->parent_id != 0;
}

/* What `incoming.caller_of` makes of it. */
static PyObject *caller_of_ids(const Ids *ids, PyObject *states)
{
    PyObject *trace_id = text_of_id(ids->trace_id, 2), *span_id = text_of_id(&ids->parent_id, 1);
    if (trace_id == NULL || span_id == NULL) {
        Py_XDECREF(trace_id);
        Py_XDECREF(span_id);
        return NULL;
    }
    return Py_BuildValue("(NNOO)", trace_id, span_id, ids->is_parent_sampled ? Py_True : Py_False, states);
}

static PyObject *text_of_bytes(PyObject *bytes) /* empty where there are none */
{
    return bytes == NULL ? Py_NewRef(s_empty) : latin(bytes, PY_SSIZE_T_MAX);
}

/* The same, however it is said; None where there is none. */
static PyObject *caller_from(Path *self, PyObject *parent, PyObject *states, PyObject *cloud)
{
    if (parent == NULL && cloud == NULL)
        Py_RETURN_NONE;
    PyObject *texts[3] = {text_of_bytes(parent), text_of_bytes(parent != NULL ? states : NULL), text_of_bytes(cloud)}, *caller = NULL;
    if (texts[0] != NULL && texts[1] != NULL && texts[2] != NULL)
        caller = PyObject_Vectorcall(self->caller_of, texts, 3, NULL);
    for (int index = 0; index < 3; index++)
        Py_XDECREF(texts[index]);
    return caller;
}

typedef struct {
    PyObject *host, *agent, *referrer, *length, *parent, *states, *cloud; /* bytes; NULL when absent */
} Headers;
enum { HEADERS = sizeof(Headers) / sizeof(PyObject *) };

static void forget_headers(Headers *found)
{
    for (int index = 0; index < HEADERS; index++)
        Py_XDECREF(((PyObject **)found)[index]);
}

/* One pass; of a name that comes twice the last counts, as in a dict. Returns 0 where a header is not as usual. */
static int read_headers(PyObject *list, Headers *found)
{
    memset(found, 0, sizeof *found);
    if (!PyList_CheckExact(list))
        return 0;
    for (Py_ssize_t index = 0; index < PyList_GET_SIZE(list); index++) {
        PyObject *pair = PyList_GET_ITEM(list, index), *name, *value;
        if (PyTuple_CheckExact(pair) && PyTuple_GET_SIZE(pair) == 2) {
            name = PyTuple_GET_ITEM(pair, 0);
            value = PyTuple_GET_ITEM(pair, 1);
        }
        else
            return 0;
        if (!PyBytes_CheckExact(name) || !PyBytes_CheckExact(value))
            return 0;
        const char *text = PyBytes_AS_STRING(name);
        PyObject **place = NULL;
        switch (PyBytes_GET_SIZE(name)) {
        case 4: place = memcmp(text, "host", 4) ? NULL : &found->host; break;
        case 7: place = memcmp(text, "referer", 7) ? NULL : &found->referrer; break;
        case 10:
            if (memcmp(text, "user-agent", 10) == 0)
                place = &found->agent;
            else if (memcmp(text, "tracestate", 10) == 0)
                place = &found->states;
            break;
        case 11: place = memcmp(text, "traceparent", 11) ? NULL : &found->parent; break;
        case 14: place = memcmp(text, "content-length", 14) ? NULL : &found->length; break;
        case 21: place = memcmp(text, "x-cloud-trace-context", 21) ? NULL : &found->cloud; break;
        default: break;
        }
        if (place != NULL)
            *place = PyBytes_GET_SIZE(value) ? value : NULL;
    }
    for (int index = 0; index < HEADERS; index++) /* what runs from here on may change the list */
        Py_XINCREF(((PyObject **)found)[index]);
    return 1;
}

/* Put a text of the scope into a slot. Returns 0 where it is no text, -1 with an exception. */
static int take_text(PyObject *state, Py_ssize_t offset, PyObject *scope, PyObject *key, PyObject *otherwise)
{
    PyObject *value = PyDict_GetItemWithError(scope, key);
    if (value == NULL) {
        if (PyErr_Occurred())
            return -1;
        value = otherwise;
    }
    if (value == NULL || !PyUnicode_CheckExact(value))
        return 0;
    SLOT(state, offset) = Py_NewRef(value); /* a new object's slots are empty */
    return 1;
}

static void begin_with(PyObject **slots, int first, int last, PyObject *value)
{
    for (int slot = first; slot <= last; slot++)
        slots[slot] = Py_NewRef(value);
}

/* Fill a new state. Returns 0 where a value is not as usual, -1 with an exception. */
static int fill(PyObject *state, PyObject *scope, PyObject *locate, Headers *headers)
{
    struct { int slot; PyObject *key, *otherwise; } const named[] = {
        {METHOD, s_method, s_GET}, {PATH, s_path, NULL}, {SCHEME, s_scheme, s_http},
    };
    for (size_t index = 0; index < sizeof named / sizeof *named; index++) {
        int slot = named[index].slot;
        int is_text = take_text(state, AT(slot), scope, named[index].key, named[index].otherwise);
        if (is_text <= 0)
            return is_text;
    }
    if (PyUnicode_GET_LENGTH(STATE(state, SCHEME)) < 4) /* ws and wss are not recorded as requests are */
        return 0;
    PyObject *client = PyDict_GetItemWithError(scope, s_client), *ip = s_empty;
    if (client == NULL && PyErr_Occurred())
        return -1;
    if (client != NULL && client != Py_None) {
        if (!PyTuple_CheckExact(client) || PyTuple_GET_SIZE(client) < 1)
            return 0;
        ip = PyTuple_GET_ITEM(client, 0);
        if (!PyUnicode_CheckExact(ip) || PyUnicode_GET_LENGTH(ip) > 64)
            return 0;
    }
    PyObject **slots = ((State *)state)->slots; /* they are empty in a new object */
    begin_with(slots, ROUTE, QUERY, s_empty);
    begin_with(slots, SPAN, LOG_FIELDS, Py_None);
    begin_with(slots, SAMPLED, FINISHED, Py_False);
    begin_with(slots, RESPONSE_BYTES, AI_UNPRICED, zero);
    begin_with(slots, REQUEST_BYTES, REQUEST_BYTES, minus_one);
    begin_with(slots, BEGUN, AI_COST, zero_f);
    begin_with(slots, ELAPSED, ELAPSED, minus_one_f);
    STATE(state, REMOTE_IP) = Py_NewRef(ip);
    STATE(state, SOURCE) = Py_NewRef(scope);
    STATE(state, LOCATE) = Py_NewRef(locate);
    PyObject *query = PyDict_GetItemWithError(scope, s_query_string);
    if (query == NULL ? PyErr_Occurred() != NULL : !PyBytes_CheckExact(query))
        return query == NULL ? -1 : 0;
    if (query != NULL && PyBytes_GET_SIZE(query)) {
        PyObject *text = latin(query, PY_SSIZE_T_MAX);
        if (text == NULL)
            return -1;
        put(state, AT(QUERY), text);
    }
    if ((STATE(state, BOUND) = PyDict_New()) == NULL)
        return -1;
    struct { int slot; PyObject *value; Py_ssize_t most; } const texts[] = {
        {HOST, headers->host, 512}, {USER_AGENT, headers->agent, 512}, {REFERRER, headers->referrer, PY_SSIZE_T_MAX},
    };
    for (size_t index = 0; index < sizeof texts / sizeof *texts; index++) {
        if (texts[index].value == NULL)
            continue;
        PyObject *text = texts[index].slot == REFERRER /* seldom the same twice, and it may hold a secret: not kept */
                             ? latin(texts[index].value, texts[index].most)
                             : known_latin(texts[index].value, texts[index].most);
        if (text == NULL)
            return -1;
        put(state, AT(texts[index].slot), text);
    }
    if (headers->length != NULL && PyBytes_GET_SIZE(headers->length) < 16) {
        long long size = 0;
        for (const char *sign = PyBytes_AS_STRING(headers->length); size >= 0 && *sign; sign++)
            size = *sign >= '0' && *sign <= '9' ? size * 10 + (*sign - '0') : -1;
        if (size >= 0 && strlen(PyBytes_AS_STRING(headers->length)) == (size_t)PyBytes_GET_SIZE(headers->length)) {
            PyObject *number = PyLong_FromLongLong(size);
            if (number == NULL)
                return -1;
            put(state, AT(REQUEST_BYTES), number);
        }
    }
    return 1;
}

static PyObject *span_caller(Span *self, void *Py_UNUSED(closure));

/* Give the state its ids and its span, and return the context that the app runs in; NULL with an exception. */
static PyObject *enter(Path *self, PyObject *state, PyObject *version, Headers *headers)
{
    State *own = (State *)state;
    PyTypeObject *span_type = (PyTypeObject *)self->span_type, *context_type = (PyTypeObject *)self->context_type;
    Span *span = (Span *)span_type->tp_alloc(span_type, 0);
    if (span == NULL)
        return NULL;
    span->spans = Py_NewRef(self->spans);
    span->state = Py_NewRef(state);
    span->protocol = Py_NewRef(version);
    span->live = Py_NewRef(Py_None);
    put(state, AT(SPAN), (PyObject *)span);
    new_id(&own->span_id, 1);
    own->has_span = 1;
    Ids *ids = &span->ids;
    if (!read_caller(ids, headers->parent)) {
        memset(ids, 0, sizeof *ids);
        if ((span->caller = caller_from(self, headers->parent, headers->states, headers->cloud)) == NULL)
            return NULL;
    }
    else if (headers->states != NULL) {
        PyObject *states = latin(headers->states, PY_SSIZE_T_MAX);
        span->caller = states == NULL ? NULL : caller_of_ids(ids, states);
        Py_XDECREF(states);
        ids->parent_id = 0;
        if (span->caller == NULL)
            return NULL;
    }
    if (span->caller != NULL && span->caller != Py_None)
        put(state, AT(TRACE_ID), Py_NewRef(PyTuple_GET_ITEM(span->caller, 0)));
    else {
        own->has_trace = 1;
        if (span->caller != NULL)
            new_id(ids->trace_id, 2);
        own->trace_id[0] = ids->trace_id[0];
        own->trace_id[1] = ids->trace_id[1];
    }
    if (self->takes_all)
        put(state, AT(SAMPLED), Py_NewRef(Py_True));
    else {
        PyObject *caller = span_caller(span, NULL), *taken;
        taken = caller == NULL ? NULL : PyObject_CallMethodObjArgs(self->observer, s__is_taken, state, caller, NULL);
        Py_XDECREF(caller);
        if (taken == NULL)
            return NULL;
        put(state, AT(SAMPLED), taken);
    }
    PyObject *context = context_type->tp_new(context_type, no_arguments, NULL);
    if (context != NULL && PyDict_SetItem(context, self->span_key, STATE(state, SPAN)) < 0)
        Py_CLEAR(context);
    return context;
}

/* Whether Python must serve this request. Returns -1 with an exception. */
static int is_unusual(Path *self, PyObject *scope, PyObject *marks)
{
    if (!PyDict_CheckExact(scope) || (PyObject *)Py_TYPE(self->observer) != self->observer_type)
        return 1;
    PyObject *kind = PyDict_GetItemWithError(scope, s_type);
    if (kind == NULL ? PyErr_Occurred() != NULL : kind != s_http && (!PyUnicode_CheckExact(kind) || PyUnicode_Compare(kind, s_http) != 0))
        return kind == NULL ? -1 : 1;
    int is_seen = kind == NULL ? 1 : PyDict_Contains(scope, s_seen);
    if (is_seen)
        return is_seen;
    if (self->excluded != Py_None) {
        PyObject *path = PyDict_GetItemWithError(scope, s_path), *found;
        if (path == NULL)
            return PyErr_Occurred() ? -1 : 1;
        if ((found = PyObject_CallMethodOneArg(self->observer, s_is_excluded, path)) == NULL)
            return -1;
        Py_DECREF(found);
        if (found != Py_False)
            return 1;
    }
    PyObject *telemetry = PyDict_GetItemWithError(scope, s_seen_by_fastapi);
    if (telemetry == NULL ? PyErr_Occurred() != NULL : telemetry != Py_None)
        return telemetry == NULL ? -1 : 1;
    int is_marked = PySequence_Contains(marks, s_mark);
    if (is_marked)
        return is_marked;
    PyObject *around = NULL, *plain = PyObject_GetAttr(self->provider, s_is_plain);
    if (plain == NULL)
        return -1;
    int is_plain = PyObject_IsTrue(plain);
    Py_DECREF(plain);
    if (is_plain != 1)
        return is_plain < 0 ? -1 : 1;
    if (PyContextVar_Get(self->otel_var, NULL, &around) < 0)
        return -1;
    int is_around = around != NULL && (!PyDict_Check(around) || PyDict_GET_SIZE(around) > 0);
    Py_XDECREF(around);
    return is_around;
}

/* Forget the framework's objects, as `RequestState.release`. */
static void release(PyObject *state)
{
    static const int slots[] = {SOURCE, SPAN, LOG_FIELDS};
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    for (size_t index = 0; index < sizeof slots / sizeof *slots; index++)
        put(state, AT(slots[index]), Py_NewRef(Py_None));
    PyErr_Restore(type, error, trace);
}

/* A text of the scope that may be missing, owned. NULL where it is something else, or with an exception. */
static PyObject *optional_text(PyObject *scope, PyObject *key)
{
    PyObject *value = PyDict_GetItemWithError(scope, key);
    if (value == NULL)
        return PyErr_Occurred() ? NULL : Py_NewRef(s_empty);
    return PyUnicode_CheckExact(value) ? Py_NewRef(value) : NULL;
}

/* Tell apps inside, and other telemetry, that this request is taken care of. */
static int mark(PyObject *scope, PyObject *state, PyObject *root)
{
    if (PyDict_SetItem(scope, s_seen, state) < 0 || PyDict_SetItem(scope, s_seen_by_starlette, Py_True) < 0
        || PyDict_SetItem(scope, s_seen_by_fastapi, Py_None) < 0)
        return -1;
    return PyUnicode_GET_LENGTH(root) ? PyDict_SetItem(scope, s_root, root) : 0;
}

/* Make the state, its span and what stands between server and app current, as `Observer.begin`. Takes no reference. */
static Exchange *entered(Path *self, PyObject *state, PyObject *scope, Headers *headers, PyObject *version, PyObject *root)
{
    Exchange *exchange = NULL;
    PyObject *type, *error, *trace, *context = enter(self, state, version, headers);
    if (context == NULL)
        return NULL;
    PyTypeObject *exchange_type = (PyTypeObject *)self->exchange_type;
    if ((exchange = (Exchange *)exchange_type->tp_alloc(exchange_type, 0)) == NULL)
        goto failed;
    exchange->native = (Path *)Py_NewRef(self);
    exchange->observer = Py_NewRef(self->observer);
    exchange->state = Py_NewRef(state);
    if (mark(scope, state, root) < 0 || (exchange->request_token = PyContextVar_Set(self->request_var, state)) == NULL)
        goto failed;
    if ((exchange->otel_token = PyContextVar_Set(self->otel_var, context)) == NULL) {
        PyErr_Fetch(&type, &error, &trace);
        if (PyContextVar_Reset(self->request_var, exchange->request_token) < 0)
            PyErr_Clear();
        PyErr_Restore(type, error, trace);
        goto failed;
    }
    Py_DECREF(context);
    return exchange;
failed:
    Py_DECREF(context);
    Py_XDECREF(exchange);
    return NULL;
}

/* Begin a request. Returns None where Python must serve it, NULL with an exception. */
static PyObject *begun(Path *self, PyObject *const *args)
{
    PyObject *scope = args[0], *list = PyDict_GetItemWithError(scope, s_headers), *state = NULL, *number;
    PyObject *version = NULL, *root = NULL;
    Exchange *exchange = NULL;
    Headers headers;
    if (list == NULL || !read_headers(list, &headers)) {
        if (PyErr_Occurred())
            return NULL;
        Py_RETURN_NONE;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double begun_s = perf_counter();
    if ((version = optional_text(scope, s_http_version)) == NULL || (root = optional_text(scope, s_root_path)) == NULL)
        goto end;
    PyTypeObject *state_type = (PyTypeObject *)self->state_type;
    if ((state = state_type->tp_alloc(state_type, 0)) == NULL || fill(state, scope, args[3], &headers) <= 0)
        goto end;
    if ((number = PyLong_FromLongLong((long long)now.tv_sec * 1000000000 + now.tv_nsec)) == NULL)
        goto end;
    put(state, AT(START_NS), number);
    if ((number = PyFloat_FromDouble(begun_s)) == NULL)
        goto end;
    put(state, AT(BEGUN), number);
    if ((exchange = entered(self, state, scope, &headers, version, root)) != NULL) {
        exchange->receive = Py_NewRef(args[1]);
        exchange->send = Py_NewRef(args[2]);
        exchange->routes = Py_NewRef(args[5]);
    }
    else
        release(state); /* no cycle stays behind */
end:
    forget_headers(&headers);
    Py_XDECREF(version);
    Py_XDECREF(root);
    Py_XDECREF(state);
    if (exchange == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return (PyObject *)exchange;
}

/* Tell what went wrong, once, and go on, as `except Exception`. Returns -1 with an exception that is to go further. */
static int tell(Path *self, PyObject *where)
{
    PyObject *type, *error, *trace;
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    PyObject *told = PyObject_CallMethodObjArgs(self->observer, s__failed, where, error, NULL);
    Py_XDECREF(told);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return told == NULL ? -1 : 0;
}

PyDoc_STRVAR(begin_doc, "begin(scope, receive, send, locate, marks, routes)\n--\n\nBegin a request; None where Python must.");

static PyObject *path_begin(Path *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "begin takes six arguments");
        return NULL;
    }
    PyObject *exchange = NULL;
    int is_left = is_unusual(self, args[0], args[4]);
    if (is_left == 0)
        exchange = begun(self, args);
    if (exchange == NULL && is_left != 1) {
        if (!PyErr_ExceptionMatches(PyExc_Exception))
            return NULL;
        PyErr_Clear(); /* Python meets it again, and tells */
    }
    return exchange != NULL ? exchange : Py_NewRef(Py_None);
}

/* ------------------------------------------------------------------ the line */

typedef struct {
    char *data, fixed[2048];
    Py_ssize_t size, room;
    int is_bad; /* a text that is no UTF-8, or no memory: Python writes the line */
    int is_wide; /* not all of it is ASCII */
    PyObject *type, *error, *trace; /* what a method has raised */
} Line;

static __attribute__((noinline)) void make_room(Line *line, Py_ssize_t size)
{
    Py_ssize_t room = 2 * (line->size + size);
    char *more = line->data == line->fixed ? PyMem_Malloc(room) : PyMem_Realloc(line->data, room);
    if (more == NULL) {
        line->is_bad = 1;
        return;
    }
    if (line->data == line->fixed)
        memcpy(more, line->fixed, line->size);
    line->data = more;
    line->room = room;
}

static inline void add(Line *line, const char *data, Py_ssize_t size)
{
    if (line->size + size > line->room)
        make_room(line, size);
    if (line->is_bad)
        return;
    memcpy(line->data + line->size, data, size);
    line->size += size;
}

/* Add what is in the line already. */
static void add_again(Line *line, Py_ssize_t from, Py_ssize_t size)
{
    if (line->size + size > line->room)
        make_room(line, size); /* the line moves */
    if (!line->is_bad)
        add(line, line->data + from, size);
}

#define ADD(line, literal) add(line, literal, sizeof(literal) - 1)

static void add_text(Line *line, PyObject *text)
{
    Py_ssize_t size;
    if (text != NULL && PyUnicode_Check(text) && PyUnicode_IS_COMPACT_ASCII(text)) {
        add(line, (const char *)PyUnicode_1BYTE_DATA(text), PyUnicode_GET_LENGTH(text));
        return;
    }
    line->is_wide = 1;
    const char *data = text != NULL && PyUnicode_Check(text) ? PyUnicode_AsUTF8AndSize(text, &size) : NULL;
    if (data == NULL) {
        if (text == NULL && line->type == NULL)
            PyErr_Fetch(&line->type, &line->error, &line->trace);
        PyErr_Clear();
        line->is_bad = 1;
        return;
    }
    add(line, data, size);
}

static void add_number(Line *line, long long number, int least_digits)
{
    char digits[24];
    int size = 0;
    unsigned long long rest = number < 0 ? 0 : (unsigned long long)number;
    do
        digits[sizeof digits - ++size] = (char)('0' + rest % 10);
    while ((rest /= 10) || size < least_digits);
    add(line, digits + sizeof digits - size, size);
}

static void add_made(Line *line, PyObject *made) /* takes the reference; of a method of RequestLines */
{
    add_text(line, made);
    Py_XDECREF(made);
}

static void add_whole(Line *line, PyObject *number) /* it may be an enum's, which says what it likes */
{
    int overflow = 1;
    long long value = PyLong_CheckExact(number) ? PyLong_AsLongLongAndOverflow(number, &overflow) : -1;
    if (value >= 0 && !overflow)
        add_number(line, value, 1);
    else
        add_made(line, PyObject_Format(number, NULL));
}

static int is_address(PyObject *text) /* nothing in it that JSON escapes */
{
    if (!PyUnicode_IS_ASCII(text))
        return 0;
    const char *sign = (const char *)PyUnicode_1BYTE_DATA(text);
    for (Py_ssize_t index = 0; index < PyUnicode_GET_LENGTH(text); index++)
        if (!(isalnum((unsigned char)sign[index]) || sign[index] == '.' || sign[index] == ':'))
            return 0;
    return 1;
}

static void add_moment(Path *self, Line *line, long long time_ns)
{
    long long second = time_ns / 1000000000, micros = time_ns % 1000000000 / 1000;
    if (second != self->second) {
        time_t seconds = (time_t)second;
        struct tm parts;
        self->second = -1;
        if (time_ns < 0 || gmtime_r(&seconds, &parts) == NULL
            || strftime(self->second_text, sizeof self->second_text, "%Y-%m-%dT%H:%M:%S.", &parts) != 20) {
            line->is_bad = 1;
            return;
        }
        self->second = second;
    }
    add(line, self->second_text, 20);
    add_number(line, micros, 6);
    ADD(line, "Z");
}

static PyObject *known(Path *self, PyObject *parts, PyObject *key, PyObject *maker, PyObject *first, PyObject *second)
{
    PyObject *part = PyDict_GetItemWithError(parts, key);
    if (part != NULL)
        return Py_NewRef(part);
    return PyErr_Occurred() ? NULL : PyObject_CallMethodObjArgs(self->lines, maker, first, second, NULL);
}

/* What URLs of a host begin with; most requests are to the same one. */
static PyObject *start_of(Path *self, PyObject *scheme, PyObject *host)
{
    PyObject *last = self->last_start;
    if (last != NULL && PyTuple_GET_ITEM(last, 1) == host
        && (PyTuple_GET_ITEM(last, 0) == scheme || PyUnicode_Compare(PyTuple_GET_ITEM(last, 0), scheme) == 0))
        return Py_NewRef(PyTuple_GET_ITEM(last, 2));
    PyObject *key = PyTuple_Pack(2, scheme, host);
    PyObject *start = key == NULL ? NULL : known(self, self->starts, key, s__start, scheme, host);
    Py_XDECREF(key);
    if (start != NULL && (last = PyTuple_Pack(3, scheme, host, start)) == NULL)
        PyErr_Clear();
    else if (start != NULL)
        Py_XSETREF(self->last_start, last);
    return start;
}

/* What a line is made of, held while Python runs. */
enum {
    O_PATH, O_IP, O_TRACE, O_SPAN, O_AGENT, O_SCHEME, O_HOST, O_QUERY, O_REFERRER, TEXTS,
    O_SENT = TEXTS, O_START, O_STATUS, PARTS
};
static const int part_slots[PARTS] = {
    PATH, REMOTE_IP, TRACE_ID, SPAN_ID, USER_AGENT, SCHEME, HOST, QUERY, REFERRER, RESPONSE_BYTES, START_NS, STATUS,
};

static void add_hex(Line *line, const uint64_t *words, int count)
{
    char digits[32];
    for (int word = 0; word < count; word++)
        hex(digits + 16 * word, words[word]);
    add(line, digits, 16 * count);
}

/* `later` and `record` are NULL for a line that is made at once, and `state` for one that is made later: of a request
   that was sampled, called no AI, and had no referrer. Its ids and numbers are in those two, not in `parts`. */
static void write_line(Path *self, Line *line, PyObject *state, PyObject *const *parts, const Later *later,
                       const Record *record, PyObject *head, PyObject *http, long long micros)
{
    PyObject *path = parts[O_PATH];
    long long millis = micros / 1000, started = record != NULL ? record->start_ns : PyLong_AsLongLong(parts[O_START]);
    if (started == -1 && PyErr_Occurred())
        add_made(line, NULL); /* what is raised goes along with it */
    add_text(line, head);
    add_text(line, path);
    ADD(line, " ");
    add_whole(line, parts[O_STATUS]);
    ADD(line, "\",\"time\":\"");
    Py_ssize_t moment = line->size;
    add_moment(self, line, started + micros * 1000);
    ADD(line, "\",\"timestamp\":\"");
    add_again(line, moment, 27);
    ADD(line, "\",\"trace_id\":\"");
    Py_ssize_t trace = line->size;
    if (record != NULL)
        add_hex(line, record->trace_id, 2);
    else
        add_text(line, parts[O_TRACE]);
    Py_ssize_t trace_size = line->size - trace;
    ADD(line, "\",\"logging.googleapis.com/trace\":\"");
    add_made(line, PyObject_GetAttr(self->lines, s__trace));
    add_again(line, trace, trace_size);
    ADD(line, "\",\"logging.googleapis.com/spanId\":\"");
    if (record != NULL)
        add_hex(line, &record->span_id, 1);
    else
        add_text(line, parts[O_SPAN]);
    if (state == NULL || STATE(state, SAMPLED) == Py_True)
        ADD(line, "\",\"logging.googleapis.com/trace_sampled\":true,\"user_id\":null,\"session_id\":null,\"latency_ms\":");
    else
        ADD(line, "\",\"logging.googleapis.com/trace_sampled\":false,\"user_id\":null,\"session_id\":null,\"latency_ms\":");
    add_number(line, millis, 1);
    ADD(line, ".");
    add_number(line, micros % 1000, 3);
    if (state == NULL || STATE(state, AI_CALLS) == zero)
        ADD(line, ",\"gemini_tokens\":{\"input\":0,\"output\":0}");
    else
        add_made(line, PyObject_CallMethodOneArg(self->lines, s__ai, state));
    add_text(line, http);
    ADD(line, "\"latency\":\"");
    add_number(line, millis / 1000, 1);
    ADD(line, ".");
    add_number(line, millis % 1000, 3);
    add_number(line, micros % 1000, 3);
    ADD(line, "s\",\"responseSize\":\"");
    if (later != NULL)
        add_number(line, later->sent, 1);
    else
        add_whole(line, parts[O_SENT]);
    ADD(line, "\"");
    add_made(line, known(self, self->agents, parts[O_AGENT], s__agent, parts[O_AGENT], NULL));
    if (state != NULL && (PyUnicode_GET_LENGTH(parts[O_REFERRER]) || STATE(state, REQUEST_BYTES) != minus_one))
        add_made(line, PyObject_CallMethodOneArg(self->lines, s__rest, state));
    else if (later != NULL && later->received >= 0) {
        ADD(line, ",\"requestSize\":\"");
        add_number(line, later->received, 1);
        ADD(line, "\"");
    }
    ADD(line, ",\"remoteIp\":");
    if (PyUnicode_GET_LENGTH(parts[O_IP])) {
        ADD(line, "\"");
        add_text(line, parts[O_IP]);
        ADD(line, "\",\"requestUrl\":\"");
    }
    else
        ADD(line, "null,\"requestUrl\":\"");
    add_made(line, start_of(self, parts[O_SCHEME], parts[O_HOST]));
    add_text(line, path);
    if (PyUnicode_GET_LENGTH(parts[O_QUERY]))
        add_made(line, PyObject_CallMethodOneArg(self->lines, s__query, parts[O_QUERY]));
    ADD(line, "\"}}\n");
}

static PyObject *text_of_line(const Line *line)
{
    if (line->is_wide)
        return PyUnicode_DecodeUTF8(line->data, line->size, "strict");
    PyObject *text = PyUnicode_New(line->size, 127);
    if (text != NULL)
        memcpy(PyUnicode_1BYTE_DATA(text), line->data, line->size);
    return text;
}

static void open_line(Line *line)
{
    line->size = 0;
    line->room = sizeof line->fixed;
    line->is_bad = line->is_wide = 0;
    line->type = line->error = line->trace = NULL;
    line->data = line->fixed;
}

static void close_line(Line *line)
{
    if (line->data != line->fixed)
        PyMem_Free(line->data);
}

static long long micros_of(double elapsed_s) { return (long long)(elapsed_s * 1e6 + 0.5); }

/* Make the line of `requestlines.RequestLines.line` with nothing bound. Returns 0 where Python must make it, -1 with an
   exception. */
static int make_line(Path *self, Line *line, PyObject *state, PyObject *head, PyObject *http, double elapsed_s)
{
    PyObject *parts[PARTS] = {NULL};
    int held_parts = 0, is_made = id_text((State *)state, TRACE_ID) != NULL && id_text((State *)state, SPAN_ID) != NULL;
    for (; held_parts < PARTS && is_made; held_parts++) {
        PyTypeObject *type = held_parts < TEXTS ? &PyUnicode_Type : held_parts == O_STATUS ? NULL : &PyLong_Type;
        parts[held_parts] = held(state, AT(part_slots[held_parts]), type);
        is_made = parts[held_parts] != NULL;
    }
    PyErr_Clear(); /* Python meets it again, and tells */
    is_made = is_made && is_plain_path(parts[O_PATH]) && is_address(parts[O_IP]) && PyUnicode_GET_LENGTH(parts[O_TRACE]);
    if (is_made) {
        write_line(self, line, state, parts, NULL, NULL, head, http, micros_of(elapsed_s));
        if (line->type != NULL) {
            PyErr_Restore(line->type, line->error, line->trace);
            is_made = -1;
        }
        else
            is_made = !line->is_bad;
    }
    while (held_parts--)
        Py_XDECREF(parts[held_parts]);
    return is_made;
}

/* Make a line whose request has ended some milliseconds ago. */
static int make_later(Gathered *lines, const Later *later)
{
    Path *self = (Path *)later->path;
    const Record *record = (const Record *)later->record;
    PyObject *const *kind = ((PyTupleObject *)record->kind)->ob_item - R_OF_KIND;
    PyObject *const parts[PARTS] = {
        record->path, record->remote_ip, NULL, NULL, record->user_agent, kind[R_SCHEME], kind[R_HOST], record->query,
        s_empty, NULL, NULL, kind[R_STATUS],
    };
    PyObject *head = PyTuple_GET_ITEM(later->series, 1), *http = PyTuple_GET_ITEM(later->series, 2);
    Line line;
    open_line(&line);
    write_line(self, &line, NULL, parts, later, record, head, http, micros_of(record->elapsed_s));
    if (line.type != NULL)
        PyErr_Restore(line.type, line.error, line.trace);
    else if (line.is_bad)
        PyErr_SetString(PyExc_ValueError, "a request's line cannot be encoded");
    int failed = line.type != NULL || line.is_bad || gather_bytes(lines, line.data, line.size) < 0;
    close_line(&line);
    return failed ? tell(self, s_end) : 0;
}

/* Let the line be made later. Returns 0 where it cannot be. */
static int is_put_off(Path *self, Gathered *lines, PyObject *state, PyObject *series, PyObject *record)
{
    long long numbers[2];
    static const int slots[] = {RESPONSE_BYTES, REQUEST_BYTES};
    if (STATE(state, AI_CALLS) != zero || PyUnicode_GET_LENGTH(STATE(state, REFERRER))
        || !is_plain_path(STATE(state, PATH)) || !is_address(STATE(state, REMOTE_IP))
        || ((Record *)record)->start_ns < 0)
        return 0;
    for (int index = 0; index < 2; index++) {
        PyObject *number = STATE(state, slots[index]);
        int overflow;
        if (number == NULL || !PyLong_CheckExact(number))
            return 0;
        numbers[index] = PyLong_AsLongLongAndOverflow(number, &overflow);
        if (overflow || numbers[index] < -index)
            return 0;
    }
    return gather_later(lines, (PyObject *)self, series, record, numbers[0], numbers[1]) == 0;
}

static int is_waiting(const Gathered *lines, double now_s)
{
    return lines->size + lines->count > 0 && now_s <= lines->until;
}

/* Those that wait for each other, owned, if some do that will be written in time; None where there are none. */
static PyObject *waiting(Path *self, PyObject *output, double now_s)
{
    PyObject *gathered = PyObject_GetAttr(output, s__gathered), *until;
    if (gathered == NULL)
        return NULL;
    int is_there;
    if (Py_IS_TYPE(gathered, &GatheredType)) {
        Py_XSETREF(self->lines_waiting, (Gathered *)Py_NewRef(gathered));
        is_there = is_waiting((Gathered *)gathered, now_s);
    }
    else {
        Py_ssize_t size = PyObject_Size(gathered);
        until = size > 0 ? PyObject_GetAttr(gathered, s_until) : NULL;
        is_there = until != NULL && now_s <= PyFloat_AsDouble(until);
        Py_XDECREF(until);
    }
    if (!PyErr_Occurred() && is_there)
        return gathered;
    Py_DECREF(gathered);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

/* Say a line, together with those that wait if it comes soon after another, as `Observer._finish`. */
static int say(Path *self, const Line *line, PyObject *text, double ended, int is_thick)
{
    PyObject *output = PyObject_GetAttr(self->logs, s_OUTPUT), *lines = NULL, *loop = NULL, *now, *done = NULL;
    if (output == NULL)
        return -1;
    if (is_thick && (lines = waiting(self, output, ended)) == NULL)
        goto end;
    if (lines != NULL && text == NULL && Py_IS_TYPE(lines, &GatheredType)) {
        Gathered *gathered = (Gathered *)lines;
        int failed = make_all(gathered) < 0 || gather_bytes(gathered, line->data, line->size) < 0;
        done = failed ? NULL : Py_NewRef(Py_None);
        goto end;
    }
    if ((text = text != NULL ? Py_NewRef(text) : text_of_line(line)) == NULL)
        goto end;
    if (lines != NULL && lines != Py_None)
        done = PyObject_CallMethodOneArg(lines, s_append, text);
    else if (is_thick && (loop = PyObject_CallMethodNoArgs(self->loops, s_running_loop)) == NULL)
        ;
    else if (loop == NULL || loop == Py_None)
        done = PyObject_CallMethodOneArg(output, s_write, text);
    else if ((now = PyFloat_FromDouble(ended)) != NULL) {
        done = PyObject_CallMethodObjArgs(output, s_gather, text, loop, now, NULL);
        Py_DECREF(now);
    }
    Py_DECREF(text);
end:
    Py_XDECREF(lines);
    Py_XDECREF(loop);
    Py_XDECREF(done);
    Py_DECREF(output);
    return done == NULL ? -1 : 0;
}

/* Make a request's line and say it. */
static __attribute__((noinline)) int say_now(Path *self, PyObject *state, PyObject *series, double ended, int is_thick)
{
    PyObject *head = PyTuple_GET_ITEM(series, 1), *http = PyTuple_GET_ITEM(series, 2), *text = NULL;
    PyObject *readable = PyDict_GetItemWithError(PyModule_GetDict(self->logs), s__is_readable);
    /* Where the setting says it, without a call. */
    if (readable == Py_True || readable == Py_False)
        Py_INCREF(readable);
    else if (PyErr_Occurred() || (readable = PyObject_CallMethodNoArgs(self->logs, s_is_readable)) == NULL)
        return -1;
    Py_DECREF(readable);
    self->is_json = readable == Py_False;
    Line line;
    open_line(&line);
    int is_made = readable == Py_True ? 0 : make_line(self, &line, state, head, http, PyFloat_AS_DOUBLE(STATE(state, ELAPSED)));
    if (is_made == 0) {
        text = PyObject_CallMethodObjArgs(self->lines, s_line, state, s_empty, no_fields, head, http, NULL);
        is_made = text == NULL ? -1 : 1;
    }
    int failed = is_made < 0 ? -1 : say(self, &line, text, ended, is_thick);
    Py_XDECREF(text);
    close_line(&line);
    return failed;
}

/* ------------------------------------------------------------------ the end */

/* The route's template, looked up once for each route: the key has an id, so the objects are kept along with it. */
static PyObject *route_of(Path *self, PyObject *state, PyObject *routes, int *has_run_python)
{
    PyObject *route = held(state, AT(ROUTE), &PyUnicode_Type), *scope = STATE(state, SOURCE);
    PyObject *matched, *effective = Py_None, *inner = NULL, *root = NULL, *key, *seen, *entry = NULL;
    *has_run_python = 0;
    if (route == NULL || PyUnicode_GET_LENGTH(route))
        return route;
    *has_run_python = 1;
    Py_DECREF(route);
    if (scope == NULL || !PyDict_CheckExact(scope) || (matched = PyDict_GetItemWithError(scope, s_route)) == NULL
        || matched == Py_None)
        return PyErr_Occurred() ? NULL : PyObject_GetAttr(state, s_route);
    Py_INCREF(matched);
    int is_inside = (root = PyDict_GetItemWithError(scope, s_root_path)) != NULL
                    && (!PyUnicode_CheckExact(root) || PyUnicode_GET_LENGTH(root));
    if (!is_inside && !PyErr_Occurred())
        is_inside = PyDict_Contains(scope, s_root);
    if (!is_inside && (inner = PyDict_GetItemWithError(scope, s_fastapi)) != NULL && inner != Py_None) {
        is_inside = !PyDict_CheckExact(inner);
        if (!is_inside && (effective = PyDict_GetItemWithError(inner, s_effective_route_context)) == NULL)
            effective = Py_None;
    }
    Py_INCREF(effective);
    route = key = NULL;
    if (PyErr_Occurred())
        goto end;
    if (is_inside) {
        route = PyObject_GetAttr(state, s_route);
        goto end;
    }
    if ((key = PyLong_FromVoidPtr(matched)) == NULL
        || ((seen = PyDict_GetItemWithError(routes, key)) == NULL && PyErr_Occurred()))
        goto end;
    if (seen != NULL && PyTuple_GET_ITEM(seen, 0) == matched && PyTuple_GET_ITEM(seen, 1) == effective) {
        route = Py_NewRef(PyTuple_GET_ITEM(seen, 2));
        *has_run_python = 0;
        put(state, AT(ROUTE), Py_NewRef(route));
        goto end;
    }
    route = PyObject_GetAttr(state, s_route);
    if (route != NULL && PyUnicode_CheckExact(route) && PyUnicode_GET_LENGTH(route)) {
        if (PyDict_GET_SIZE(routes) >= 2000)
            PyDict_Clear(routes);
        if ((entry = PyTuple_Pack(3, matched, effective, route)) == NULL || PyDict_SetItem(routes, key, entry) < 0)
            Py_CLEAR(route);
    }
end:
    Py_XDECREF(entry);
    Py_XDECREF(key);
    Py_DECREF(effective);
    Py_DECREF(matched);
    return route;
}

static int record(Path *self, PyObject *cell, PyObject *state)
{
    PyObject *done;
    if ((PyObject *)Py_TYPE(cell) != self->cell_type) {
        done = PyObject_CallMethodOneArg(cell, s_record, state);
        Py_XDECREF(done);
        return done == NULL ? -1 : 0;
    }
    PyObject *buckets = held(cell, self->cell_offsets[BUCKETS], NULL);
    if (buckets == NULL)
        return -1;
    int is_full;
    if (Py_IS_TYPE(buckets, &BucketsType))
        is_full = count_value((Buckets *)buckets, PyFloat_AS_DOUBLE(STATE(state, ELAPSED)));
    else {
        done = PyObject_CallMethodOneArg(buckets, s_add, STATE(state, ELAPSED));
        is_full = done == NULL ? -1 : PyObject_IsTrue(done);
        Py_XDECREF(done);
    }
    Py_DECREF(buckets);
    if (is_full < 0)
        return -1;
    put(cell, self->cell_offsets[LAST], Py_NewRef(state));
    if (is_full) {
        done = PyObject_CallMethodNoArgs(cell, s_fold);
        Py_XDECREF(done);
        return done == NULL ? -1 : 0;
    }
    return 0;
}

/* Whether the slots are as every function here wants them: anybody may set, or empty, any of them. */
static int is_sound(PyObject *state)
{
    static const int texts[] = {PATH, QUERY, USER_AGENT, METHOD, SCHEME, HOST, REMOTE_IP, REFERRER, ROUTE};
    static const int ids[] = {TRACE_ID, SPAN_ID};
    const State *own = (State *)state;
    for (size_t index = 0; index < sizeof ids / sizeof *ids; index++) {
        PyObject *text = own->slots[ids[index]];
        if (text == NULL ? !(index ? own->has_span : own->has_trace) : !PyUnicode_CheckExact(text))
            return 0;
    }
    for (size_t index = 0; index < sizeof texts / sizeof *texts; index++) {
        PyObject *text = STATE(state, texts[index]);
        if (text == NULL || !PyUnicode_CheckExact(text))
            return 0;
    }
    PyObject *bound = STATE(state, BOUND), *begun_s = STATE(state, BEGUN), *elapsed = STATE(state, ELAPSED);
    PyObject *status = STATE(state, STATUS), *start = STATE(state, START_NS);
    return start != NULL && PyLong_CheckExact(start) && bound != NULL && PyDict_CheckExact(bound) && begun_s != NULL
           && PyFloat_CheckExact(begun_s) && elapsed != NULL && PyFloat_CheckExact(elapsed) && status != NULL && PyLong_Check(status) && STATE(state, SPAN) != NULL;
}

enum { MOST_SIZES = 2048 };
static PyObject *known_sizes[MOST_SIZES];

static PyObject *known_size(Py_ssize_t bytes) /* owned; one number for all that are as large */
{
    if (bytes < 0 || bytes >= MOST_SIZES)
        return PyLong_FromSsize_t(bytes);
    if (known_sizes[bytes] == NULL && (known_sizes[bytes] = PyLong_FromSsize_t(bytes)) == NULL)
        return NULL;
    return Py_NewRef(known_sizes[bytes]);
}

static int is_same(PyObject *one, PyObject *other) /* texts */
{
    return one == other || (one != NULL && PyUnicode_GET_LENGTH(one) == PyUnicode_GET_LENGTH(other) && PyUnicode_Compare(one, other) == 0);
}

static void know(PyObject **place, PyObject *value) /* texts, numbers, and tuples of them: nothing runs when they go */
{
    Py_XSETREF(*place, Py_XNewRef(value));
}

/* End the span of a request that went well, as `RequestSpan.finish` with nothing more to say. `kept` is set to what is
   kept of it, owned, if that is a `Record`. */
static int end_span(Path *self, PyObject *state, PyObject *span, PyObject *series, PyObject *route, PyObject **kept)
{
    PyObject *done;
    if (STATE(state, SAMPLED) != Py_True) { /* it may be kept all the same */
        done = PyObject_CallMethodObjArgs(span, s_finish, s_empty, Py_None, NULL);
        Py_XDECREF(done);
        return done == NULL ? -1 : 0;
    }
    State *own = (State *)state;
    ((Span *)span)->is_ended = 1;
    Ids ids = ((Span *)span)->ids;
    PyObject *record = NULL, *protocol = Py_XNewRef(((Span *)span)->protocol), *caller = Py_None;
    int is_usual = own->has_trace && own->has_span && (ids.parent_id || ((Span *)span)->caller == Py_None);
    if (!is_usual)
        caller = span_caller((Span *)span, NULL);
    else
        Py_INCREF(caller);
    if (caller == NULL || protocol == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_AttributeError, "a field of the span has been emptied");
fail:
        Py_XDECREF(caller);
        Py_XDECREF(protocol);
        Py_XDECREF(record);
        return -1;
    }
    if (!is_sound(state)) { /* Python has run since it was looked at */
        PyErr_SetString(PyExc_TypeError, "a slot of the request's state has been emptied, or holds something else");
        goto fail;
    }
again:;
    int has_caller = caller != Py_None;
    if (has_caller
        && (!PyTuple_Check(caller) || PyTuple_GET_SIZE(caller) != 4 || !PyUnicode_CheckExact(PyTuple_GET_ITEM(caller, 1))
            || !PyUnicode_CheckExact(PyTuple_GET_ITEM(caller, 3)))) {
        PyErr_SetString(PyExc_TypeError, "the span's caller is not as incoming.caller_of gives it");
        goto fail;
    }
    if (!is_usual && (id_text(own, TRACE_ID) == NULL || id_text(own, SPAN_ID) == NULL))
        goto fail;
    PyObject *const values[RECORD_SIZE] = {
        own->slots[TRACE_ID], own->slots[SPAN_ID], Py_True,
        has_caller ? PyTuple_GET_ITEM(caller, 1) : s_empty, has_caller ? PyTuple_GET_ITEM(caller, 2) : Py_False,
        has_caller ? PyTuple_GET_ITEM(caller, 3) : s_empty, STATE(state, START_NS), STATE(state, ELAPSED),
        STATE(state, METHOD), route, STATE(state, STATUS), s_empty, STATE(state, SCHEME), STATE(state, HOST), protocol,
        STATE(state, PATH), STATE(state, QUERY), STATE(state, REMOTE_IP), STATE(state, USER_AGENT), Py_None,
    };
    if (is_usual) {
        memcpy(ids.trace_id, own->trace_id, sizeof ids.trace_id);
        ids.span_id = own->span_id;
    }
    Known *known = &self->known[(uintptr_t)route / 16 % MOST_ROUTES];
    if (known->series != series)
        known = NULL;
    int is_known = known != NULL && known->kind != NULL && known->host == STATE(state, HOST) && is_same(known->protocol, protocol);
    if (is_usual || read_ids(values, &ids))
        record = (PyObject *)new_record(values, &ids, is_known ? known->kind : NULL);
    if (record != NULL && known != NULL && !is_known && PyUnicode_CheckExact(protocol)) {
        know(&known->host, STATE(state, HOST));
        know(&known->protocol, protocol);
        know(&known->kind, ((Record *)record)->kind);
    }
    if (record == NULL && is_usual) { /* a tuple, which has texts */
        Py_DECREF(caller);
        if ((caller = span_caller((Span *)span, NULL)) == NULL)
            goto fail;
        is_usual = 0;
        goto again;
    }
    if (record == NULL) {
        if ((record = PyTuple_New(RECORD_SIZE)) == NULL)
            goto fail;
        for (int index = 0; index < RECORD_SIZE; index++)
            PyTuple_SET_ITEM(record, index, Py_NewRef(values[index]));
        PyObject_GC_UnTrack(record); /* texts and numbers: nothing for the garbage collector to look at */
    }
    Py_ssize_t bytes = 800 + PyUnicode_GET_LENGTH(STATE(state, PATH)) + PyUnicode_GET_LENGTH(STATE(state, QUERY))
                       + PyUnicode_GET_LENGTH(STATE(state, USER_AGENT));
    PyObject *size = known_size(bytes), *arguments[2] = {record, size};
    if (size != NULL && self->fan != NULL)
        done = put_into_all(self->fan, record, size) < 0 ? NULL : Py_NewRef(Py_None);
    else
        done = size == NULL ? NULL : PyObject_Vectorcall(self->submit, arguments, 2, NULL);
    Py_XDECREF(done);
    Py_XDECREF(size);
    if (Py_IS_TYPE(record, &RecordType))
        *kept = record;
    else
        Py_DECREF(record);
    Py_DECREF(caller);
    Py_DECREF(protocol);
    return done == NULL ? -1 : 0;
}

/* Whether Python must end this request: something is bound, has failed, or is not as usual. Returns -1 with an exception. */
static int is_left_to_python(Path *self, PyObject *state)
{
    PyObject *bound = NULL, *span = STATE(state, SPAN);
    if (!is_sound(state))
        return 1;
    long status = PyLong_AsLong(STATE(state, STATUS));
    if (status == -1 && PyErr_Occurred())
        return -1;
    if (status <= 0 || status >= 500 || STATE(state, ERROR) != Py_None || STATE(state, DISCONNECTED) != Py_False
        || STATE(state, FINISHED) != Py_False || (PyObject *)Py_TYPE(span) != self->span_type
        || PyFloat_AS_DOUBLE(STATE(state, ELAPSED)) >= 0 || PyDict_GET_SIZE(STATE(state, BOUND))
        || (PyObject *)Py_TYPE(self->observer) != self->observer_type)
        return 1;
    if (PyContextVar_Get(self->bound_var, NULL, &bound) < 0)
        return -1;
    Py_ssize_t fields = bound == NULL ? 0 : PyObject_Size(bound);
    Py_XDECREF(bound);
    if (fields)
        return fields < 0 ? -1 : 1;
    return ((Span *)span)->live != Py_None;
}

static PyObject *series_of(Path *self, PyObject *state, PyObject *route) /* owned; NULL where it is a new one */
{
    PyObject *method = STATE(state, METHOD), *status = STATE(state, STATUS), *scheme = STATE(state, SCHEME);
    if (method == NULL || status == NULL || scheme == NULL)
        return NULL;
    Known *known = &self->known[(uintptr_t)route / 16 % MOST_ROUTES];
    if (known->route == route && known->status == status && is_same(known->scheme, scheme) && is_same(known->method, method))
        return Py_NewRef(known->series);
    PyObject *key = PyTuple_Pack(5, method, route, status, s_empty, scheme);
    if (key == NULL)
        return NULL;
    PyObject *series = Py_XNewRef(PyDict_GetItemWithError(self->series, key));
    Py_DECREF(key);
    if (series != NULL && PyLong_CheckExact(status)) {
        know(&known->kind, NULL);
        know(&known->route, route);
        know(&known->method, method);
        know(&known->status, status);
        know(&known->scheme, scheme);
        PyObject *before = known->series;
        known->series = Py_NewRef(series);
        Py_XDECREF(before);
    }
    return series;
}

static int ended(Path *self, PyObject *state, PyObject *series, PyObject *route, double ended_s)
{
    PyObject *span = Py_NewRef(STATE(state, SPAN)), *kept = NULL;
    int failed = record(self, PyTuple_GET_ITEM(series, 0), state) < 0 || end_span(self, state, span, series, route, &kept) < 0;
    Py_DECREF(span);
    if (!failed && self->lines != Py_None) {
        int is_thick = ended_s - self->last_ended < self->thick_s;
        Gathered *lines = self->lines_waiting;
        self->last_ended = ended_s;
        if (!is_thick || !self->is_json || lines == NULL || !is_waiting(lines, ended_s) || kept == NULL || !is_sound(state)
            || !is_put_off(self, lines, state, series, kept))
            failed = say_now(self, state, series, ended_s, is_thick);
    }
    Py_XDECREF(kept);
    return failed ? -1 : 0;
}

PyDoc_STRVAR(finish_doc, "_finish()\n--\n\nNote that the response is complete, as `Observer.body_sent`.");

static PyObject *exchange_finish(Exchange *exchange, PyObject *Py_UNUSED(none))
{
    Path *self = exchange->native;
    PyObject *state = exchange->state, *route = NULL, *series = NULL, *elapsed, *done = NULL;
    int is_left = is_left_to_python(self, state), has_run_python;
    if (is_left == 0 && (route = route_of(self, state, exchange->routes, &has_run_python)) != NULL && PyUnicode_CheckExact(route)
        && (series = series_of(self, state, route)) != NULL && has_run_python)
        is_left = is_left_to_python(self, state); /* who looked for the route may have touched the span, too */
    if (is_left || series == NULL) {
        if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_Exception)) {
            PyErr_Clear(); /* Python meets it again, and tells */
            done = PyObject_CallMethodOneArg(self->observer, s_body_sent, state);
        }
        goto end;
    }
    double begun_s = PyFloat_AS_DOUBLE(STATE(state, BEGUN)), elapsed_s = perf_counter() - begun_s;
    if ((elapsed = PyFloat_FromDouble(elapsed_s)) == NULL)
        goto end;
    put(state, AT(ELAPSED), elapsed);
    put(state, AT(FINISHED), Py_NewRef(Py_True));
    if (ended(self, state, series, route, begun_s + elapsed_s) == 0 || tell(self, s_end) == 0)
        done = Py_NewRef(Py_None);
    release(state);
end:
    Py_XDECREF(series);
    Py_XDECREF(route);
    return done;
}

/* ------------------------------------------------------------------ the last message, as `_Exchange._complete` */

enum { CREATED, RUNNING, SUSPENDED, DONE };

/* A coroutine in the place of Python's `_complete`, which does not pay for a frame of its own. What it awaits is a
   coroutine that nobody else has: other things are awaited by one of Python's, which knows all that may be awaited. */
typedef struct {
    PyObject_HEAD
    Exchange *exchange;
    PyObject *message; /* until it is sent */
    PyObject *sending; /* the coroutine that is awaited; NULL before and after */
    int phase;
} Completion;

static PyObject *completion_of(Exchange *exchange, PyObject *message)
{
    Completion *self = PyObject_GC_New(Completion, &CompletionType);
    if (self == NULL)
        return NULL;
    self->exchange = (Exchange *)Py_NewRef(exchange);
    self->message = Py_NewRef(message);
    self->sending = NULL;
    self->phase = CREATED;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

/* An attribute that may be missing, owned. NULL without an exception where it is. */
static PyObject *optional(PyObject *object, PyObject *name)
{
    PyObject *value;
#if PY_VERSION_HEX >= 0x030D0000
    (void)PyObject_GetOptionalAttr(object, name, &value);
#else
    (void)_PyObject_LookupAttr(object, name, &value); /* an error that is made, and thrown away, costs more than the rest */
#endif
    return value;
}

/* Whether the client has gone, as `asgi._has_left`. Returns -1 with an exception. */
static int has_left(PyObject *receive)
{
    PyObject *server = PyMethod_Check(receive) ? Py_NewRef(PyMethod_GET_SELF(receive)) : optional(receive, s___self__);
    if (server == NULL)
        return PyErr_Occurred() ? -1 : 0;
    PyObject *gone = optional(server, s_disconnected);
    if (!PyErr_Occurred() && (gone == NULL || gone == Py_None)) {
        Py_XDECREF(gone);
        gone = optional(server, s__closed);
    }
    Py_DECREF(server);
    Py_XDECREF(gone);
    return PyErr_Occurred() ? -1 : gone == Py_True;
}

static void note_disconnected(Exchange *exchange)
{
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    put(exchange->state, AT(DISCONNECTED), Py_NewRef(Py_True));
    PyErr_Restore(type, error, trace);
}

/* Begin to send. Returns -1 with an exception, and -2 where that is not for the server's errors. */
static int begin_sending(Completion *self)
{
    PyObject *message = self->message, *awaitable;
    self->message = NULL;
    int is_gone = has_left(self->exchange->receive);
    if (is_gone < 0) {
        Py_DECREF(message);
        return -2;
    }
    if (is_gone)
        note_disconnected(self->exchange);
    awaitable = PyObject_CallOneArg(self->exchange->send, message);
    Py_DECREF(message);
    if (awaitable != NULL && !(PyCoro_CheckExact(awaitable) && Py_REFCNT(awaitable) == 1)) {
        PyObject *waiting = PyObject_CallMethodOneArg((PyObject *)self->exchange, s__await, awaitable);
        Py_DECREF(awaitable);
        awaitable = waiting;
        if (awaitable != NULL && !PyCoro_CheckExact(awaitable)) {
            PyErr_SetString(PyExc_TypeError, "_await must be a coroutine function");
            Py_CLEAR(awaitable);
        }
    }
    self->sending = awaitable;
    return awaitable == NULL ? -1 : 0;
}

/* It has been sent, or that has failed. Takes the result. */
static PySendResult end_sending(Completion *self, PySendResult how, PyObject **result)
{
    self->phase = DONE;
    if (self->sending != NULL) {
        PyObject *type, *error, *trace;
        PyErr_Fetch(&type, &error, &trace);
        Py_CLEAR(self->sending);
        PyErr_Restore(type, error, trace);
    }
    if (how == PYGEN_RETURN) {
        Py_CLEAR(*result);
        *result = exchange_finish(self->exchange, NULL);
        return *result == NULL ? PYGEN_ERROR : PYGEN_RETURN;
    }
    if (PyErr_ExceptionMatches(PyExc_OSError)) /* ASGI's way to say that the client has gone */
        note_disconnected(self->exchange);
    return PYGEN_ERROR;
}

/* Raise what a coroutine raises that cannot be run now. */
static int is_not_to_be_run(const Completion *self)
{
    if (self->phase == RUNNING)
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    else if (self->phase == DONE)
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
    return self->phase == RUNNING || self->phase == DONE;
}

/* The end of an iteration that comes out of a coroutine would be taken for the coroutine's own: as Python's, raise
   something else, which it is the cause of. */
static PySendResult with_error(void)
{
    PyObject *type, *error, *trace, *other_type, *other, *other_trace;
    if (!PyErr_ExceptionMatches(PyExc_StopIteration))
        return PYGEN_ERROR;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL)
        PyException_SetTraceback(error, trace);
    PyErr_SetString(PyExc_RuntimeError, "coroutine raised StopIteration");
    PyErr_Fetch(&other_type, &other, &other_trace);
    PyErr_NormalizeException(&other_type, &other, &other_trace);
    PyException_SetCause(other, Py_NewRef(error)); /* both take a reference */
    PyException_SetContext(other, error);
    PyErr_Restore(other_type, other, other_trace);
    Py_DECREF(type);
    Py_XDECREF(trace);
    return PYGEN_ERROR;
}

static PySendResult completion_am_send(Completion *self, PyObject *value, PyObject **result)
{
    *result = NULL;
    if (is_not_to_be_run(self))
        return PYGEN_ERROR;
    if (self->phase == CREATED) {
        if (value != Py_None) {
            PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
            return PYGEN_ERROR;
        }
        self->phase = RUNNING;
        int begun = begin_sending(self);
        if (begun == -2) {
            self->phase = DONE;
            return with_error();
        }
        if (begun < 0) {
            end_sending(self, PYGEN_ERROR, result);
            return with_error();
        }
    }
    self->phase = RUNNING;
    PySendResult how = PyIter_Send(self->sending, value, result);
    if (how != PYGEN_NEXT)
        return end_sending(self, how, result);
    self->phase = SUSPENDED;
    return how;
}

static PyObject *as_iterator(PySendResult how, PyObject *result)
{
    if (how != PYGEN_RETURN)
        return result; /* NULL with its exception */
    Py_DECREF(result); /* None */
    PyErr_SetNone(PyExc_StopIteration);
    return NULL;
}

static PyObject *completion_next(Completion *self)
{
    PyObject *result;
    PySendResult how = completion_am_send(self, Py_None, &result);
    return as_iterator(how, result);
}

static PyObject *completion_send(Completion *self, PyObject *value)
{
    PyObject *result;
    PySendResult how = completion_am_send(self, value, &result);
    return as_iterator(how, result);
}

static PyObject *completion_await(Completion *self)
{
    if (self->phase == SUSPENDED || self->phase == RUNNING) {
        PyErr_SetString(PyExc_RuntimeError, "coroutine is being awaited already");
        return NULL;
    }
    return Py_NewRef((PyObject *)self);
}

/* Close what is awaited. Returns -1 with an exception. */
static int close_sending(Completion *self)
{
    self->phase = RUNNING;
    PyObject *done = PyObject_CallMethodNoArgs(self->sending, s_close);
    self->phase = SUSPENDED;
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Whether a coroutine has not ended. Leaves an exception as it is. */
static int has_frame(PyObject *coroutine)
{
    PyObject *type, *error, *trace, *frame;
    PyErr_Fetch(&type, &error, &trace);
    frame = PyObject_GetAttr(coroutine, s_cr_frame);
    int is_there = frame != NULL && frame != Py_None;
    Py_XDECREF(frame);
    PyErr_Restore(type, error, trace);
    return is_there;
}

/* Let Python's coroutine, which has not begun either, do what was asked for. */
static PyObject *by_python(Completion *self, PyObject *method, PyObject *args)
{
    PyObject *message = self->message, *coroutine, *bound, *result = NULL;
    self->message = NULL;
    self->phase = RUNNING;
    if ((coroutine = PyObject_CallMethodOneArg((PyObject *)self->exchange, s__complete, message)) == NULL) {
        self->phase = DONE;
        Py_DECREF(message);
        return NULL;
    }
    if ((bound = PyObject_GetAttr(coroutine, method)) != NULL) {
        result = PyObject_CallObject(bound, args);
        Py_DECREF(bound);
    }
    self->phase = DONE;
    if (result == NULL && has_frame(coroutine)) { /* the arguments were wrong */
        self->phase = CREATED;
        self->message = Py_NewRef(message);
        PyObject *type, *error, *trace;
        PyErr_Fetch(&type, &error, &trace);
        Py_XDECREF(PyObject_CallMethodNoArgs(coroutine, s_close)); /* nobody is to miss that it was never awaited */
        PyErr_Restore(type, error, trace);
    }
    Py_DECREF(message);
    Py_DECREF(coroutine);
    return result;
}

static PyObject *completion_throw(Completion *self, PyObject *args)
{
    PyObject *result = NULL, *error = PyTuple_GET_SIZE(args) ? PyTuple_GET_ITEM(args, 0) : NULL, *thrower;
    if (is_not_to_be_run(self))
        return NULL;
    if (self->phase == CREATED)
        return by_python(self, s_throw, args);
    if (error != NULL && PyErr_GivenExceptionMatches(error, PyExc_GeneratorExit)) {
        if (close_sending(self) == 0)
            PyErr_SetObject(PyExceptionInstance_Check(error) ? (PyObject *)Py_TYPE(error) : error,
                            PyExceptionInstance_Check(error) ? error : NULL);
        end_sending(self, PYGEN_ERROR, &result);
        return NULL;
    }
    if ((thrower = PyObject_GetAttr(self->sending, s_throw)) == NULL)
        return NULL;
    self->phase = RUNNING;
    result = PyObject_CallObject(thrower, args);
    Py_DECREF(thrower);
    self->phase = SUSPENDED;
    if (result != NULL)
        return result;
    if (PyErr_ExceptionMatches(PyExc_StopIteration)) {
        PyErr_Clear(); /* it has been sent all the same */
        PySendResult how = end_sending(self, PYGEN_RETURN, &result);
        return as_iterator(how, result);
    }
    if (!has_frame(self->sending)) /* else the arguments were wrong, and it goes on */
        end_sending(self, PYGEN_ERROR, &result);
    return NULL;
}

static PyObject *completion_close(Completion *self, PyObject *Py_UNUSED(none))
{
    PyObject *result = NULL;
    if (self->phase == RUNNING) {
        is_not_to_be_run(self);
        return NULL;
    }
    if (self->phase == SUSPENDED && close_sending(self) < 0) {
        end_sending(self, PYGEN_ERROR, &result);
        return NULL;
    }
    self->phase = DONE;
    Py_CLEAR(self->message);
    Py_CLEAR(self->sending);
    Py_RETURN_NONE;
}

static int completion_traverse(Completion *self, visitproc visit, void *arg)
{
    Py_VISIT(self->exchange);
    Py_VISIT(self->message);
    Py_VISIT(self->sending);
    return 0;
}

static int completion_clear(Completion *self)
{
    Py_CLEAR(self->message);
    Py_CLEAR(self->sending);
    return 0;
}

static void completion_dealloc(Completion *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->message);
    Py_XDECREF(self->sending);
    Py_XDECREF(self->exchange);
    PyObject_GC_Del(self);
}

static PyMethodDef completion_methods[] = {
    {"send", (PyCFunction)completion_send, METH_O, "send(value)\n--\n\nAs a coroutine's."},
    {"throw", (PyCFunction)completion_throw, METH_VARARGS, "throw(error)\n--\n\nAs a coroutine's."},
    {"close", (PyCFunction)completion_close, METH_NOARGS, "close()\n--\n\nAs a coroutine's."},
    {NULL},
};
static PyAsyncMethods completion_async = {.am_await = (unaryfunc)completion_await, .am_send = (sendfunc)completion_am_send};
static PyTypeObject CompletionType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obskit.signals._native.Completion",
    .tp_basicsize = sizeof(Completion),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "The sending of the last message, after which the request has ended.",
    .tp_traverse = (traverseproc)completion_traverse,
    .tp_clear = (inquiry)completion_clear,
    .tp_dealloc = (destructor)completion_dealloc,
    .tp_as_async = &completion_async,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)completion_next,
    .tp_methods = completion_methods,
};

/* ------------------------------------------------------------------ what goes between the server and the app */

static int is_given(PyObject *message, PyObject *key) /* and true; -1 with an exception */
{
    PyObject *value = PyDict_GetItemWithError(message, key);
    if (value == NULL)
        return PyErr_Occurred() ? -1 : 0;
    Py_INCREF(value);
    int is_true = PyObject_IsTrue(value);
    Py_DECREF(value);
    return is_true;
}

PyDoc_STRVAR(send_doc, "send(message)\n--\n\nPass a message to the server; the last one of a response by `_complete`.");

static PyObject *exchange_send(Exchange *exchange, PyObject *message)
{
    PyObject *state = exchange->state, *kind, *value;
    if (!PyDict_CheckExact(message))
        return PyObject_CallMethodOneArg((PyObject *)exchange, s__send_any, message);
    if ((kind = PyDict_GetItemWithError(message, s_type)) == NULL && PyErr_Occurred())
        return NULL;
    if (kind == NULL || !PyUnicode_CheckExact(kind))
        return PyObject_CallMethodOneArg((PyObject *)exchange, s__send_any, message);
    if (PyUnicode_Compare(kind, s_body_type) == 0) {
        value = PyDict_GetItemWithError(message, s_body);
        if (value == NULL && PyErr_Occurred())
            return NULL;
        PyObject *number = STATE(state, RESPONSE_BYTES);
        if (number == NULL || !PyLong_CheckExact(number) || (value != NULL && !PyBytes_CheckExact(value)))
            return PyObject_CallMethodOneArg((PyObject *)exchange, s__send_any, message);
        long long sent = PyLong_AsLongLong(number);
        if ((sent == -1 && PyErr_Occurred())
            || (number = PyLong_FromLongLong(sent + (value != NULL ? PyBytes_GET_SIZE(value) : 0))) == NULL)
            return NULL;
        put(state, AT(RESPONSE_BYTES), number);
        int has_more = is_given(message, s_more_body);
        if (has_more < 0)
            return NULL;
        if (!has_more && STATE(state, TRAILERS) != Py_True)
            return completion_of(exchange, message);
    }
    else if (PyUnicode_Compare(kind, s_start_type) == 0) {
        value = PyDict_GetItemWithError(message, s_status);
        if (value == NULL && PyErr_Occurred())
            return NULL;
        if (value == NULL || !PyLong_Check(value))
            return PyObject_CallMethodOneArg((PyObject *)exchange, s__send_any, message);
        put(state, AT(STATUS), Py_NewRef(value));
        int has_trailers = is_given(message, s_trailers);
        if (has_trailers < 0)
            return NULL;
        if (has_trailers)
            put(state, AT(TRAILERS), Py_NewRef(Py_True));
    }
    else
        return PyObject_CallMethodOneArg((PyObject *)exchange, s__send_any, message);
    return PyObject_CallOneArg(exchange->send, message);
}

PyDoc_STRVAR(leave_doc, "leave()\n--\n\nEnd the request if its response has not, and undo `begin` for the code that runs on.");

static PyObject *exchange_leave(Exchange *exchange, PyObject *Py_UNUSED(none))
{
    Path *self = exchange->native;
    PyObject *state = exchange->state, *done;
    if (STATE(state, FINISHED) != Py_True || STATE(state, ERROR) != Py_None) {
        done = PyObject_CallMethodOneArg(self->observer, s_finish, state);
        if (done == NULL)
            return NULL;
        Py_DECREF(done);
    }
    if (exchange->otel_token == NULL || exchange->request_token == NULL)
        Py_RETURN_NONE;
    if (PyContextVar_Reset(self->request_var, exchange->request_token) < 0
        || PyContextVar_Reset(self->otel_var, exchange->otel_token) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError))
            return NULL;
        PyErr_Clear(); /* the running context is another one by now */
        done = PyObject_CallOneArg(self->own_leave, exchange->otel_token);
        if (done == NULL)
            return NULL;
        Py_DECREF(done);
    }
    Py_CLEAR(exchange->request_token);
    Py_CLEAR(exchange->otel_token);
    Py_RETURN_NONE;
}

static int exchange_traverse(Exchange *self, visitproc visit, void *arg)
{
    Py_VISIT(self->native);
    Py_VISIT(self->observer);
    Py_VISIT(self->state);
    Py_VISIT(self->receive);
    Py_VISIT(self->send);
    Py_VISIT(self->routes);
    Py_VISIT(self->request_token);
    Py_VISIT(self->otel_token);
    return 0;
}

/* No tp_clear, here and for Path: they are made once, as a tuple is, so that every cycle goes through something else,
   which can be cleared; and no field that a method reads is ever NULL. */
static void exchange_dealloc(Exchange *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->observer);
    Py_XDECREF(self->receive);
    Py_XDECREF(self->send);
    Py_XDECREF(self->request_token);
    Py_XDECREF(self->otel_token);
    Py_XDECREF(self->state);
    Py_XDECREF(self->routes);
    Py_XDECREF(self->native);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef exchange_methods[] = {
    {"send", (PyCFunction)exchange_send, METH_O, send_doc},
    {"leave", (PyCFunction)exchange_leave, METH_NOARGS, leave_doc},
    {"_finish", (PyCFunction)exchange_finish, METH_NOARGS, finish_doc},
    {NULL},
};
static PyMemberDef exchange_members[] = {
    {"state", T_OBJECT, offsetof(Exchange, state), READONLY, NULL},
    {"_state", T_OBJECT, offsetof(Exchange, state), READONLY, NULL},
    {"_observer", T_OBJECT, offsetof(Exchange, observer), READONLY, NULL},
    {"_receive", T_OBJECT, offsetof(Exchange, receive), READONLY, NULL},
    {"_send", T_OBJECT, offsetof(Exchange, send), READONLY, NULL},
    {NULL},
};
static PyTypeObject ExchangeType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obskit.signals._native.Exchange",
    .tp_basicsize = sizeof(Exchange),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "What goes between the server and the app for one request.",
    .tp_traverse = (traverseproc)exchange_traverse,
    .tp_dealloc = (destructor)exchange_dealloc,
    .tp_methods = exchange_methods,
    .tp_members = exchange_members,
};

/* ------------------------------------------------------------------ the span */

static int span_traverse(Span *self, visitproc visit, void *arg)
{
    Py_VISIT(self->spans);
    Py_VISIT(self->state);
    Py_VISIT(self->caller);
    Py_VISIT(self->protocol);
    Py_VISIT(self->live);
    return 0;
}

static void span_dealloc(Span *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->spans);
    Py_XDECREF(self->state);
    Py_XDECREF(self->caller);
    Py_XDECREF(self->protocol);
    Py_XDECREF(self->live);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *span_caller(Span *self, void *Py_UNUSED(closure))
{
    if (self->caller == NULL && self->ids.parent_id)
        self->caller = caller_of_ids(&self->ids, s_empty);
    return self->caller == NULL && PyErr_Occurred() ? NULL : Py_NewRef(self->caller == NULL ? Py_None : self->caller);
}

static PyGetSetDef span_getset[] = {{"_caller", (getter)span_caller, NULL, NULL, NULL}, {NULL}};
static PyMemberDef span_members[] = {
    {"_spans", T_OBJECT, offsetof(Span, spans), READONLY, NULL},
    {"_state", T_OBJECT, offsetof(Span, state), READONLY, NULL},
    {"_protocol", T_OBJECT, offsetof(Span, protocol), READONLY, NULL},
    {"_live", T_OBJECT, offsetof(Span, live), 0, NULL},
    {"_is_ended", T_BOOL, offsetof(Span, is_ended), 0, NULL},
    {NULL},
};
static PyTypeObject SpanType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obskit.signals._native.Span",
    .tp_basicsize = sizeof(Span),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "The fields of a request's span that every request reads.",
    .tp_traverse = (traverseproc)span_traverse,
    .tp_dealloc = (destructor)span_dealloc,
    .tp_members = span_members,
    .tp_getset = span_getset,
};

/* ------------------------------------------------------------------ the state */

static int state_traverse(State *self, visitproc visit, void *arg)
{
    for (int slot = 0; slot < STATE_SLOTS; slot++)
        Py_VISIT(self->slots[slot]);
    return 0;
}

static int state_clear(State *self)
{
    self->has_trace = self->has_span = 0;
    for (int slot = 0; slot < STATE_SLOTS; slot++)
        Py_CLEAR(self->slots[slot]);
    return 0;
}

static void state_dealloc(State *self)
{
    PyObject_GC_UnTrack(self);
    for (int slot = 0; slot < STATE_SLOTS; slot++)
        Py_XDECREF(self->slots[slot]);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *state_get_id(State *self, void *slot) { return Py_XNewRef(id_text(self, (int)(intptr_t)slot)); }

static int state_set_id(State *self, PyObject *text, void *slot)
{
    int which = (int)(intptr_t)slot;
    if (text == NULL && id_text(self, which) == NULL)
        return -1;
    *(which == TRACE_ID ? &self->has_trace : &self->has_span) = 0;
    put((PyObject *)self, AT(which), Py_XNewRef(text));
    return 0;
}

static PyGetSetDef state_getset[] = {
    {"trace_id", (getter)state_get_id, (setter)state_set_id, NULL, (void *)(intptr_t)TRACE_ID},
    {"span_id", (getter)state_get_id, (setter)state_set_id, NULL, (void *)(intptr_t)SPAN_ID},
    {NULL},
};
static PyMemberDef state_members[] = {
#define MEMBER(name, text) {text, T_OBJECT_EX, offsetof(State, slots) + name * sizeof(PyObject *), 0, NULL},
    STATE_FIELDS(MEMBER)
    {NULL},
};
static PyTypeObject StateType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obskit.signals._native.State",
    .tp_basicsize = sizeof(State),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "The slots of a request's state.",
    .tp_new = PyType_GenericNew,
    .tp_traverse = (traverseproc)state_traverse,
    .tp_clear = (inquiry)state_clear,
    .tp_dealloc = (destructor)state_dealloc,
    .tp_members = state_members,
    .tp_getset = state_getset,
};

/* ------------------------------------------------------------------ Path */

static PyObject *path_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
#define NAME_OF(name) #name,
        PATH_OBJECTS(NAME_OF) "takes_all", "thick_s", NULL};
    Path given, *self;
    memset(&given, 0, sizeof given);
#define PLACE_OF(name) &given.name,
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$OOOOOOOOOOOOOOOOOOOOOOOpd", names, PATH_OBJECTS(PLACE_OF) &given.takes_all,
                                     &given.thick_s))
        return NULL;
    if (!PyType_Check(given.state_type) || !PyType_IsSubtype((PyTypeObject *)given.state_type, &StateType)
        || !PyType_Check(given.cell_type) || !PyType_Check(given.exchange_type)
        || !PyType_IsSubtype((PyTypeObject *)given.exchange_type, &ExchangeType) || !PyType_Check(given.span_type)
        || !PyType_IsSubtype((PyTypeObject *)given.span_type, &SpanType) || !PyModule_Check(given.logs) || !PyDict_CheckExact(given.series)
        || !PyDict_CheckExact(given.agents) || !PyDict_CheckExact(given.starts) || !PyContextVar_CheckExact(given.otel_var)
        || !PyType_Check(given.context_type) || ((PyTypeObject *)given.context_type)->tp_init != PyDict_Type.tp_init
        || !PyContextVar_CheckExact(given.request_var) || !PyContextVar_CheckExact(given.bound_var)) {
        PyErr_SetString(PyExc_TypeError, "an argument is not of the type that it must be");
        return NULL;
    }
    if (find_slots((PyTypeObject *)given.cell_type, cell_slots, given.cell_offsets, CELL_SLOTS) < 0
        || (self = (Path *)type->tp_alloc(type, 0)) == NULL)
        return NULL;
#define KEEP(name) self->name = Py_NewRef(given.name);
    PATH_OBJECTS(KEEP)
    memcpy(self->cell_offsets, given.cell_offsets, sizeof given.cell_offsets);
    self->takes_all = given.takes_all;
    self->thick_s = given.thick_s;
    self->second = -1;
    if (PyCFunction_CheckExact(self->submit) && PyCFunction_GET_FUNCTION(self->submit) == (PyCFunction)(void (*)(void))fan_submit)
        self->fan = (Fan *)PyCFunction_GET_SELF(self->submit);
    return (PyObject *)self;
}

static int path_traverse(Path *self, visitproc visit, void *arg)
{
#define VISIT(name) Py_VISIT(self->name);
    PATH_OBJECTS(VISIT)
    Py_VISIT(self->last_start);
    for (int place = 0; place < MOST_ROUTES; place++)
        Py_VISIT(self->known[place].series);
    return 0;
}

static void path_dealloc(Path *self)
{
    PyObject_GC_UnTrack(self);
#define FORGET(name) Py_XDECREF(self->name);
    PATH_OBJECTS(FORGET)
    Py_XDECREF(self->last_start);
    Py_XDECREF(self->lines_waiting);
    for (int place = 0; place < MOST_ROUTES * KNOWN_FIELDS; place++)
        Py_XDECREF(((PyObject **)self->known)[place]);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef path_methods[] = {
    {"begin", (PyCFunction)(void (*)(void))path_begin, METH_FASTCALL, begin_doc},
    {NULL},
};
static PyTypeObject PathType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obskit.signals._native.Path",
    .tp_basicsize = sizeof(Path),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "The way of plain requests of one observer.",
    .tp_new = path_new,
    .tp_traverse = (traverseproc)path_traverse,
    .tp_dealloc = (destructor)path_dealloc,
    .tp_methods = path_methods,
};

/* ------------------------------------------------------------------ the module */

static PyMethodDef functions[] = {
    {"seed", seed, METH_O, "seed(bytes)\n--\n\nBegin the ids anew, from 32 random bytes."},
    {"load_library", load_library, METH_O,
     "load_library(path)\n--\n\nLoad a shared library for good, while other threads run; return whether it could be."},
    {NULL},
};
/* Its types and names are of the process: CPython 3.12 and later refuse it to interpreters with a GIL of their own, which
   are served by Python then; those that share the GIL share them. */
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_native", "The way of a plain ASGI request, in C.", -1, functions,
};

static int make_names(void)
{
#define INTERN(name) if ((s_##name = PyUnicode_InternFromString(#name)) == NULL) return -1;
    NAMES(INTERN)
    struct { PyObject **place; const char *text; } const more[] = {
        {&s_seen, "obskit.request"}, {&s_seen_by_fastapi, "fastapi.telemetry"},
        {&s_seen_by_starlette, "starlette.opentelemetry"}, {&s_root, "obskit.root_path"},
        {&s_start_type, "http.response.start"}, {&s_body_type, "http.response.body"},
        {&s_mark, "_is_instrumented_by_opentelemetry"}, {&s_empty, ""}, {&s_url_path, "url.path"},
        {&s_client_address, "client.address"}, {&s_user_agent_original, "user_agent.original"},
    };
    for (size_t index = 0; index < sizeof more / sizeof *more; index++)
        if ((*more[index].place = PyUnicode_InternFromString(more[index].text)) == NULL)
            return -1;
    zero = PyLong_FromLong(0);
    minus_one = PyLong_FromLong(-1);
    zero_f = PyFloat_FromDouble(0.0);
    minus_one_f = PyFloat_FromDouble(-1.0);
    no_fields = PyDict_New();
    no_arguments = PyTuple_New(0);
    return zero == NULL || minus_one == NULL || zero_f == NULL || minus_one_f == NULL || no_fields == NULL || no_arguments == NULL ? -1 : 0;
}

PyMODINIT_FUNC PyInit__native(void)
{
    static const struct { const char *name; PyTypeObject *type; } types[] = {
        {"Path", &PathType}, {"State", &StateType}, {"Exchange", &ExchangeType}, {"Intake", &IntakeType}, {"Fan", &FanType},
        {"Builder", &BuilderType}, {"Buckets", &BucketsType}, {"Gathered", &GatheredType}, {"Record", &RecordType}, {"Span", &SpanType}, {"Completion", &CompletionType},
    };
    if (make_names() < 0)
        return NULL;
    PyObject *self = PyModule_Create(&module);
    if (self == NULL)
        return NULL;
    for (size_t index = 0; self != NULL && index < sizeof types / sizeof *types; index++)
        if (PyType_Ready(types[index].type) < 0
            || PyModule_AddObjectRef(self, types[index].name, (PyObject *)types[index].type) < 0)
            Py_CLEAR(self);
    return self;
}
