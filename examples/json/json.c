/* Takes a JSON object, answers it re-serialised. What is not JSON gets a 400 that says where it breaks, what is JSON
 * but not an object a 422. Build:
 * cc -shared -fPIC $(pkg-config --cflags casgi-kit) json.c -o json.so $(pkg-config --libs casgi-kit) */
#include <casgi/casgi.h>
#include <casgi/kit/json.h>

#define BODY_LIMIT (1u << 20)

/* What is said beside the sentence: a tree of one's own, made and freed with cJSON. */
static int refuse_at(casgi_send_t *send, const casgi_json_error_t *error)
{
    cJSON *answer = cJSON_CreateObject();
    int rc = CASGI_ENOMEM;
    if (cJSON_AddStringToObject(answer, "detail", error->message) &&
        cJSON_AddNumberToObject(answer, "byte", (double)error->byte) &&
        cJSON_AddNumberToObject(answer, "line", error->line) &&
        cJSON_AddNumberToObject(answer, "column", error->column)) {
        rc = casgi_json_respond(send, 400, answer);
    }
    cJSON_Delete(answer);
    return rc;
}

static int json(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope;
    const cJSON *document;
    casgi_json_error_t error;
    int rc = casgi_json_receive(receive, BODY_LIMIT, &document, &error);
    if (rc == CASGI_EINVAL) {
        return refuse_at(send, &error);
    }
    if (rc == CASGI_ETOOBIG) {
        return casgi_json_refuse(send, 413, error.message);
    }
    if (rc) {
        return rc;
    }
    return cJSON_IsObject(document) ? casgi_json_respond(send, 200, document)
                                    : casgi_json_refuse(send, 422, "a JSON object is expected");
}
CASGI_APP(json)
