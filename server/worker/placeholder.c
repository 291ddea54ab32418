#include "worker/placeholder.h"

#include <stdlib.h>
#include <string.h>

struct placeholder {
    casgi_app_t app;
    casgi_str_t text; /* owned */
};

static int answer(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    static const casgi_header_t headers[] = {
        CASGI_HEADER("content-type", "text/plain; charset=utf-8"),
        CASGI_HEADER("cache-control", "no-store"),
        CASGI_HEADER("retry-after", "1"),
    };
    const struct placeholder *self = app->data;
    (void)scope, (void)receive;
    /* A copy, since the text may be replaced while the client reads slowly. */
    char *text = casgi_alloc(self->text.len);
    if (!text) {
        return CASGI_ENOMEM;
    }
    size_t size = self->text.len;
    memcpy(text, self->text.ptr, size);
    int rc = casgi_send_start(send, 503, headers, sizeof(headers) / sizeof(headers[0]));
    return rc ? rc : casgi_send_body(send, text, size, false);
}

struct placeholder *placeholder_new(const char *text)
{
    struct placeholder *placeholder = calloc(1, sizeof(*placeholder));
    if (placeholder) {
        placeholder->app.call = answer;
        placeholder->app.data = placeholder;
        placeholder_set_text(placeholder, casgi_str(text));
    }
    if (placeholder && !placeholder->text.ptr) {
        free(placeholder);
        placeholder = NULL;
    }
    return placeholder;
}

void placeholder_free(struct placeholder *placeholder)
{
    if (placeholder) {
        free((void *)(uintptr_t)placeholder->text.ptr);
        free(placeholder);
    }
}

casgi_app_t *placeholder_app(struct placeholder *placeholder)
{
    return &placeholder->app;
}

void placeholder_set_text(struct placeholder *placeholder, casgi_str_t text)
{
    char *copy = placeholder ? malloc(text.len + 2) : NULL;
    if (!copy) {
        return;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\n';
    copy[text.len + 1] = '\0';
    free((void *)(uintptr_t)placeholder->text.ptr);
    placeholder->text = (casgi_str_t){ copy, text.len + (text.len == 0 || copy[text.len - 1] != '\n') };
}
