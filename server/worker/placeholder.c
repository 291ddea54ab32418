#include "worker/placeholder.h"

#include <stdlib.h>
#include <string.h>

/* What is being sent stays while the client reads slowly, also if the text is replaced. */
struct text {
    unsigned refs;
    size_t size;
    char bytes[];
};

struct placeholder {
    casgi_app_t app;
    struct text *text;
};

static struct text *text_new(casgi_str_t from)
{
    struct text *text = malloc(sizeof(*text) + from.len + 1);
    if (text) {
        text->refs = 1;
        text->size = from.len;
        memcpy(text->bytes, from.ptr, from.len);
        if (from.len == 0 || from.ptr[from.len - 1] != '\n') {
            text->bytes[text->size++] = '\n';
        }
    }
    return text;
}

static void text_unref(struct text *text)
{
    if (text && !--text->refs) {
        free(text);
    }
}

static int answer(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    static const casgi_header_t headers[] = {
        CASGI_HEADER("content-type", "text/plain; charset=utf-8"),
        CASGI_HEADER("cache-control", "no-store"),
        CASGI_HEADER("retry-after", "1"),
    };
    struct text *text = ((const struct placeholder *)app->data)->text;
    (void)scope, (void)receive;
    text->refs++;
    int rc = casgi_send_start(send, 503, headers, sizeof(headers) / sizeof(headers[0]));
    if (!rc) {
        rc = casgi_send_body(send, text->bytes, text->size, false);
    }
    text_unref(text);
    return rc;
}

struct placeholder *placeholder_new(const char *text)
{
    struct placeholder *placeholder = calloc(1, sizeof(*placeholder));
    if (!placeholder) {
        return NULL;
    }
    placeholder->app.call = answer;
    placeholder->app.data = placeholder;
    placeholder->text = text_new(casgi_str(text));
    if (!placeholder->text) {
        free(placeholder);
        return NULL;
    }
    return placeholder;
}

void placeholder_free(struct placeholder *placeholder)
{
    if (placeholder) {
        text_unref(placeholder->text);
        free(placeholder);
    }
}

casgi_app_t *placeholder_app(struct placeholder *placeholder)
{
    return &placeholder->app;
}

void placeholder_set_text(struct placeholder *placeholder, casgi_str_t text)
{
    struct text *fresh = placeholder ? text_new(text) : NULL;
    if (fresh) {
        text_unref(placeholder->text);
        placeholder->text = fresh;
    }
}
