#include "controls.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum fault fault;
} faults[] = {
    { "return", FAULT_RETURN },
    { "error", FAULT_ERROR },
    { "start_only", FAULT_START_ONLY },
    { "partial", FAULT_PARTIAL },
    { "partial_error", FAULT_PARTIAL_ERROR },
    { "two_starts", FAULT_TWO_STARTS },
    { "body_first", FAULT_BODY_FIRST },
    { "body_after", FAULT_BODY_AFTER },
    { "unknown_event", FAULT_UNKNOWN_EVENT },
    { "hang", FAULT_HANG },
};

static int hex(char c)
{
    const char *digits = "0123456789abcdef";
    const char *found = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* Percent-decoded, NUL-terminated, in the arena. */
static casgi_str_t decode(const char *text, size_t size)
{
    casgi_str_t decoded = { NULL, 0 };
    char *data = casgi_alloc(size + 1);
    if (!data) {
        return decoded;
    }
    for (size_t i = 0; i < size; i++) {
        int high = text[i] == '%' && i + 2 < size ? hex(text[i + 1]) : -1;
        int low = high >= 0 ? hex(text[i + 2]) : -1;
        data[decoded.len++] = low >= 0 ? (char)(high * 16 + low) : text[i];
        i += low >= 0 ? 2 : 0;
    }
    data[decoded.len] = '\0';
    decoded.ptr = data;
    return decoded;
}

static int set_fault(struct controls *out, casgi_str_t value, casgi_error_t *error)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        if (casgi_str_equal(value, casgi_str(faults[i].name))) {
            out->fault = faults[i].fault;
            return 0;
        }
    }
    return casgi_error_set(error, CASGI_EINVAL, "there is no fault called %s", value.ptr);
}

/* header=name:value */
static int add_header(struct controls *out, casgi_str_t value, casgi_error_t *error)
{
    char *text = (char *)(uintptr_t)value.ptr, *colon = memchr(text, ':', value.len);
    if (!colon || out->header_count == HEADERS_MAX) {
        return casgi_error_set(error, CASGI_EINVAL, "header takes name:value, and at most %d are taken", HEADERS_MAX);
    }
    *colon = '\0';
    casgi_header_t *header = &out->headers[out->header_count++];
    *header = casgi_header("", "");
    header->name.ptr = text;
    header->name.len = (size_t)(colon - text);
    header->value.ptr = colon + 1;
    header->value.len = value.len - header->name.len - 1;
    return 0;
}

static void set_receive(struct controls *out, casgi_str_t value)
{
    if (strcmp(value.ptr, "all") == 0) {
        out->receive = RECEIVE_ALL;
    } else {
        out->receive = strcmp(value.ptr, "none") == 0 ? 0 : strtoll(value.ptr, NULL, 10);
    }
}

enum kind { NUMBER, SWITCH, TEXT };

static const struct {
    const char *name;
    enum kind kind;
    size_t at;
} fields[] = {
    { "receive_pause_ms", NUMBER, offsetof(struct controls, receive_pause_ms) },
    { "sleep_ms", NUMBER, offsetof(struct controls, sleep_ms) },
    { "pause_ms", NUMBER, offsetof(struct controls, pause_ms) },
    { "piece_bytes", NUMBER, offsetof(struct controls, piece_bytes) },
    { "after", NUMBER, offsetof(struct controls, after) },
    { "status", NUMBER, offsetof(struct controls, status) },
    { "body_bytes", NUMBER, offsetof(struct controls, body_bytes) },
    { "trailers", SWITCH, offsetof(struct controls, trailers) },
    { "early_hint", SWITCH, offsetof(struct controls, early_hint) },
    { "set_state", SWITCH, offsetof(struct controls, set_state) },
    { "content_length", TEXT, offsetof(struct controls, content_length) },
    { "keep", TEXT, offsetof(struct controls, keep) },
    { "recall", TEXT, offsetof(struct controls, recall) },
};

static void set_field(struct controls *out, const char *name, casgi_str_t value)
{
    int64_t number = strtoll(value.ptr, NULL, 10);
    bool on = number != 0;
    number = number < 0 ? 0 : number;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        char *field = (char *)out + fields[i].at;
        if (strcmp(name, fields[i].name) != 0) {
            continue;
        }
        switch (fields[i].kind) {
        case NUMBER:
            memcpy(field, &number, sizeof(number));
            break;
        case SWITCH:
            memcpy(field, &on, sizeof(on));
            break;
        case TEXT:
            memcpy(field, &value, sizeof(value));
            break;
        }
    }
}

static int set(struct controls *out, const char *name, casgi_str_t value, casgi_error_t *error)
{
    if (strcmp(name, "receive") == 0) {
        set_receive(out, value);
    } else if (strcmp(name, "header") == 0) {
        return add_header(out, value, error);
    } else if (strcmp(name, "fault") == 0) {
        return set_fault(out, value, error);
    } else {
        set_field(out, name, value);
    }
    return 0;
}

/* One pair. What has no "=", or another name, is not a control and is left alone. */
static int parse_pair(struct controls *out, const char *pair, size_t length, casgi_error_t *error)
{
    const char *equals = memchr(pair, '=', length);
    if (!equals) {
        return 0;
    }
    casgi_str_t name = decode(pair, (size_t)(equals - pair));
    casgi_str_t value = decode(equals + 1, length - (size_t)(equals - pair) - 1);
    if (!name.ptr || !value.ptr) {
        return CASGI_ENOMEM;
    }
    return set(out, name.ptr, value, error);
}

int controls_parse(casgi_str_t query, struct controls *out, casgi_error_t *error)
{
    *out = (struct controls){ .receive = RECEIVE_ALL, .status = 200, .body_bytes = -1, .piece_bytes = 65536 };
    int rc = 0;
    for (size_t from = 0; rc == 0 && from < query.len;) {
        const char *pair = query.ptr + from, *end = memchr(pair, '&', query.len - from);
        size_t length = end ? (size_t)(end - pair) : query.len - from;
        rc = parse_pair(out, pair, length, error);
        from += length + 1;
    }
    return rc;
}
