/* A growing text, and JSON written into it. When memory is short it stays short and `failed` says so. */
#pragma once

#include <casgi/casgi.h>

struct text {
    char *data; /* NUL-terminated once something was added; malloc'ed: text_release */
    size_t size;
    size_t capacity;
    bool failed;
};

void text_release(struct text *text);
void text_add(struct text *text, const char *data, size_t size);
void text_print(struct text *text, const char *format, ...) CASGI_PRINTF(2, 3);

/* Bytes as a JSON string, each as the character of its number (latin-1): nothing is lost. ptr NULL: null. */
void text_json_bytes(struct text *text, casgi_str_t bytes);

/* UTF-8 text as a JSON string. ptr NULL: null. */
void text_json_utf8(struct text *text, casgi_str_t utf8);
