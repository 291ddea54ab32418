#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_release(struct text *text)
{
    free(text->data);
    *text = (struct text){ 0 };
}

static bool grow(struct text *text, size_t size)
{
    size_t needed = text->size + size + 1;
    if (needed <= text->capacity) {
        return true;
    }
    size_t capacity = needed * 2 < 1024 ? 1024 : needed * 2;
    char *data = realloc(text->data, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void text_add(struct text *text, const char *data, size_t size)
{
    if (grow(text, size)) {
        if (size) {
            memcpy(text->data + text->size, data, size);
        }
        text->size += size;
        text->data[text->size] = '\0';
    }
}

void text_print(struct text *text, const char *format, ...)
{
    char piece[512];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(piece, sizeof(piece), format, args);
    va_end(args);
    if (size > 0) {
        text_add(text, piece, (size_t)size < sizeof(piece) ? (size_t)size : sizeof(piece) - 1);
    }
}

static void add_escaped(struct text *text, unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        text_print(text, "\\%c", c);
        break;
    case '\n':
        text_add(text, "\\n", 2);
        break;
    case '\r':
        text_add(text, "\\r", 2);
        break;
    default:
        text_print(text, "\\u%04x", c);
        break;
    }
}

/* What stands for itself goes in as it is, in runs. */
static void add_json(struct text *text, casgi_str_t value, bool is_utf8)
{
    size_t from = 0;
    if (!value.ptr) {
        text_add(text, "null", 4);
        return;
    }
    text_add(text, "\"", 1);
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f || (c > 0x7f && !is_utf8)) {
            text_add(text, value.ptr + from, i - from);
            add_escaped(text, c);
            from = i + 1;
        }
    }
    text_add(text, value.ptr + from, value.len - from);
    text_add(text, "\"", 1);
}

void text_json_bytes(struct text *text, casgi_str_t bytes)
{
    add_json(text, bytes, false);
}

void text_json_utf8(struct text *text, casgi_str_t utf8)
{
    add_json(text, utf8, true);
}
