/* Takes a JSON object, answers it re-serialised. What is not JSON gets a 400 that says where it breaks, what is JSON
 * but not an object a 422. Build: cc -shared -fPIC json.c -o json.so -lcjson */
#include <casgi/casgi.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_LIMIT (1u << 20)
#define NESTING_LIMIT 128 /* cJSON recurses, and a handler's stack is 256 KiB */

struct place {
    size_t byte; /* from 0 */
    size_t line; /* from 1, as is the column */
    size_t column;
};

static struct place place_of(casgi_str_t body, size_t byte)
{
    struct place place = { byte, 1, 1 };
    for (size_t i = 0; i < byte && i < body.len; i++) {
        place.column++;
        if (body.ptr[i] == '\n') {
            place.line++;
            place.column = 1;
        }
    }
    return place;
}

/* Where the body is nested too deeply, or has a NUL byte, which cJSON would take for its end; SIZE_MAX: nowhere. */
static size_t find_offence(casgi_str_t body)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < body.len; i++) {
        char c = body.ptr[i];
        if (c == '\0') {
            return i;
        }
        if (quoted) {
            i += c == '\\' && i + 1 < body.len && body.ptr[i + 1] != '\0';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            if (++depth > NESTING_LIMIT) {
                return i;
            }
        } else if (c == ']' || c == '}') {
            depth -= depth > 0;
        }
    }
    return SIZE_MAX;
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
    struct place at = place_of(body, byte);
    (void)snprintf(text, sizeof(text),
                   "{\"detail\":\"not valid JSON at line %zu, column %zu\",\"byte\":%zu,\"line\":%zu,\"column\":%zu}\n",
                   at.line, at.column, at.byte, at.line, at.column);
    return casgi_respond(send, 400, "application/json", text);
}

static int answer(casgi_send_t *send, const cJSON *document, size_t expected_size)
{
    if (!cJSON_IsObject(document)) {
        return refuse(send, 422, "a JSON object is expected");
    }
    char *text = cJSON_PrintBuffered(document, (int)expected_size + 64, false);
    if (!text) {
        return CASGI_ENOMEM;
    }
    int rc = casgi_respond(send, 200, "application/json", text);
    free(text);
    return rc;
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
    size_t offence = find_offence(body);
    if (offence != SIZE_MAX) {
        return refuse_at(send, body, offence);
    }
    const char *end = body.ptr;
    cJSON *document = cJSON_ParseWithLengthOpts(body.ptr, body.len + 1, &end, true);
    rc = document ? answer(send, document, body.len) : refuse_at(send, body, (size_t)(end - body.ptr));
    cJSON_Delete(document);
    return rc;
}
CASGI_APP(json)
