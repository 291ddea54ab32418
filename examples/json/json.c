/* Takes a JSON object, answers it re-serialised. What is not JSON gets a 400 that says where it breaks, what is JSON
 * but not an object a 422. Build: cc -shared -fPIC json.c -o json.so -lcjson */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memrchr */
#endif
#include <casgi/casgi.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_LIMIT (1u << 20)
#define NESTING_LIMIT 128 /* cJSON recurses, and a handler's stack is 256 KiB */

static size_t count(casgi_str_t text, char wanted)
{
    size_t found = 0;
    const char *end = text.ptr + text.len;
    for (const char *at = text.ptr; (at = memchr(at, wanted, (size_t)(end - at))); at++) {
        found++;
    }
    return found;
}

/* Where the body is nested too deeply, or has a NUL byte, which cJSON would take for its end; SIZE_MAX: nowhere. */
static size_t find_offence(casgi_str_t body)
{
    size_t depth = 0;
    bool quoted = false;
    if (count(body, '\0') == 0 && count(body, '[') + count(body, '{') <= NESTING_LIMIT) {
        return SIZE_MAX; /* nearly always */
    }
    for (size_t i = 0; i < body.len; i++) {
        char c = body.ptr[i];
        if (c == '\0' || (!quoted && (c == '[' || c == '{') && ++depth > NESTING_LIMIT)) {
            return i;
        }
        depth -= !quoted && (c == ']' || c == '}') && depth > 0;
        quoted = quoted != (c == '"');
        i += quoted && c == '\\' && i + 1 < body.len && body.ptr[i + 1] != '\0';
    }
    return SIZE_MAX;
}

/* ---- cJSON's memory while this thread is between parsing and the answer's text: a piece of the request's arena.
 * Nothing suspends there, so that other users of cJSON in this process do not notice. ---- */

static _Thread_local struct {
    char *next; /* NULL: not now */
    size_t left;
} pool;

static void *allocate(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (!pool.next || size > pool.left) {
        return pool.next ? casgi_alloc(size) : malloc(size);
    }
    pool.left -= size;
    return (pool.next += size) - size;
}

static void give_back(void *memory)
{
    if (!pool.next) {
        free(memory);
    }
}

__attribute__((constructor)) static void set_hooks(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){ allocate, give_back });
}

/* Others may use cJSON after this module is gone. */
__attribute__((destructor)) static void reset_hooks(void)
{
    cJSON_InitHooks(NULL);
}

static int refuse(casgi_send_t *send, int status, const char *detail)
{
    char text[160];
    (void)snprintf(text, sizeof(text), "{\"detail\":\"%s\"}\n", detail);
    return casgi_respond(send, status, "application/json", text);
}

static int refuse_at(casgi_send_t *send, casgi_str_t body, size_t byte)
{
    char text[200];
    casgi_str_t before = { body.ptr, byte < body.len ? byte : body.len };
    const char *line = memrchr(before.ptr, '\n', before.len);
    size_t lines = count(before, '\n') + 1, column = before.len - (line ? (size_t)(line + 1 - before.ptr) : 0) + 1;
    (void)snprintf(text, sizeof(text),
                   "{\"detail\":\"not valid JSON at line %zu, column %zu\",\"byte\":%zu,\"line\":%zu,\"column\":%zu}\n",
                   lines, column, byte, lines, column);
    return casgi_respond(send, 400, "application/json", text);
}

/* *out_text: the object re-serialised; NULL if it is JSON of another kind. *out_offence: the position of what is no
 * JSON, or SIZE_MAX. */
static int convert(casgi_str_t body, size_t *out_offence, const char **out_text)
{
    const char *end = body.ptr;
    pool.left = body.len * 16 + 1024;
    pool.next = casgi_alloc(pool.left);
    if (!pool.next) {
        return CASGI_ENOMEM;
    }
    cJSON *document = cJSON_ParseWithLengthOpts(body.ptr, body.len + 1, &end, true);
    *out_text = cJSON_IsObject(document) ? cJSON_PrintBuffered(document, (int)body.len + 64, false) : NULL;
    *out_offence = document ? SIZE_MAX : (size_t)(end - body.ptr);
    pool.next = NULL;
    return 0;
}

static int json(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope;
    casgi_str_t body;
    int rc = casgi_receive_body(receive, BODY_LIMIT, &body);
    if (rc == CASGI_ETOOBIG) {
        return refuse(send, 413, "the document is larger than 1 MiB");
    }
    if (rc) {
        return rc;
    }
    const char *text = NULL;
    size_t offence = find_offence(body);
    rc = offence == SIZE_MAX ? convert(body, &offence, &text) : 0;
    if (rc) {
        return rc;
    }
    if (offence != SIZE_MAX) {
        return refuse_at(send, body, offence);
    }
    return text ? casgi_respond(send, 200, "application/json", text) : refuse(send, 422, "a JSON object is expected");
}
CASGI_APP(json)
