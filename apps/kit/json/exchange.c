/* JSON as the body of requests and responses. */
#include "casgi/kit/json.h"

#include <stdio.h>

int casgi_json_receive(casgi_receive_t *receive, size_t limit, const cJSON **out_document,
                       casgi_json_error_t *out_error)
{
    casgi_str_t body;
    *out_document = NULL;
    int rc = casgi_receive_body(receive, limit, &body);
    if (rc == 0) {
        return casgi_json_parse(body.ptr, body.len, out_document, out_error);
    }
    if (out_error) {
        *out_error = (casgi_json_error_t){ .code = rc };
        if (rc == CASGI_ETOOBIG) {
            (void)snprintf(out_error->message, sizeof(out_error->message), "the document is larger than %zu bytes",
                           limit);
        } else {
            (void)snprintf(out_error->message, sizeof(out_error->message), "the body did not arrive");
        }
    }
    return rc;
}

int casgi_json_respond(casgi_send_t *send, int status, const cJSON *value)
{
    casgi_str_t text;
    int rc = casgi_json_print(value, &text);
    return rc ? rc : casgi_respond_bytes(send, status, "application/json", text.ptr, text.len);
}

int casgi_json_refuse(casgi_send_t *send, int status, const char *detail)
{
    cJSON text = { .type = cJSON_String | cJSON_IsReference, .string = "detail" };
    cJSON object = { .type = cJSON_Object, .child = &text };
    text.valuestring = (char *)(uintptr_t)detail; /* only printed */
    return casgi_json_respond(send, status, &object);
}
