/* Golden module: reads every key of the scope, and answers with them. */
#include <casgi/casgi.h>

#include <stdio.h>
#include <string.h>

struct text {
    char data[4096];
    size_t size;
};

static void line(struct text *text, const char *key, casgi_str_t value)
{
    /* Every text is NUL-terminated, too. */
    const char *ended = value.ptr && strlen(value.ptr) != value.len ? " (not ended)" : "";
    int size = snprintf(text->data + text->size, sizeof(text->data) - text->size, "%s=%.*s%s\n", key, (int)value.len,
                        value.ptr ? value.ptr : "", ended);
    text->size += size > 0 ? (size_t)size : 0;
}

static void number(struct text *text, const char *key, long value)
{
    char digits[32];
    (void)snprintf(digits, sizeof(digits), "%ld", value);
    line(text, key, casgi_str(digits));
}

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct text text = { .size = 0 };
    (void)self, (void)receive;
    number(&text, "type", (long)scope->type);
    line(&text, "type_name", scope->type_name);
    line(&text, "asgi_version", scope->asgi_version);
    line(&text, "asgi_spec_version", scope->asgi_spec_version);
    line(&text, "http_version", scope->http_version);
    line(&text, "method", scope->method);
    line(&text, "scheme", scope->scheme);
    line(&text, "path", scope->path);
    line(&text, "raw_path", scope->raw_path);
    line(&text, "query_string", scope->query_string);
    line(&text, "root_path", scope->root_path);
    line(&text, "x-golden", casgi_scope_header(scope, "x-golden"));
    number(&text, "client_has_port", scope->client.host.ptr ? scope->client.port > 0 : 1);
    number(&text, "subprotocols", (long)scope->subprotocol_count);
    number(&text, "state", scope->state != NULL);
    number(&text, "has_request_id", scope->request_id.len > 0);
    number(&text, "unknown_extension", casgi_scope_get(scope, "golden.unknown") != NULL);
    return casgi_respond_bytes(send, 200, "text/plain", text.data, text.size);
}
CASGI_APP(answer)
