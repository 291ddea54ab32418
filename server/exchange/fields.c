/* Fields that an application hands in: checked, copied, and taken apart. RFC 9110, sections 5 and 7.6.1. */
#include "exchange/private.h"

#include "base/httpchars.h"
#include "base/httpfield.h"

#include <string.h>

#define FIELDS_SIZE_MAX ((size_t)1 << 20)

enum { LINE_EXTRA = 4 }; /* of "name: value\r\n" */

/* Names of other lengths are none that kind_of knows. */
#define KNOWN_LENGTHS (1u << 7 | 1u << 10 | 1u << 14 | 1u << 16 | 1u << 17)

enum field_kind { FIELD_PLAIN, FIELD_CONTENT_LENGTH, FIELD_CONNECTION, FIELD_DROPPED };

static bool is(casgi_str_t name, const char *text)
{
    return !memcmp(name.ptr, text, name.len);
}

/* `name` is in lower case. The lengths tell nearly all fields from these at once. */
static enum field_kind kind_of(casgi_str_t name)
{
    switch (name.len) {
    case 7:
        return is(name, "upgrade") ? FIELD_DROPPED : FIELD_PLAIN;
    case 10:
        return is(name, "connection") ? FIELD_CONNECTION : is(name, "keep-alive") ? FIELD_DROPPED : FIELD_PLAIN;
    case 14:
        return is(name, "content-length") ? FIELD_CONTENT_LENGTH : FIELD_PLAIN;
    case 16:
        return is(name, "proxy-connection") ? FIELD_DROPPED : FIELD_PLAIN;
    case 17:
        return is(name, "transfer-encoding") ? FIELD_DROPPED : FIELD_PLAIN;
    default:
        return FIELD_PLAIN;
    }
}

/* How many bytes the copies need; SIZE_MAX: above the ceiling. `all` is above it if one of the lengths is, however the
 * sum wraps, and not unless the sum is. */
static inline size_t text_size(const casgi_header_t *from, size_t count)
{
    size_t size = count * LINE_EXTRA, all = 0;
    for (size_t i = 0; i < count; i++) {
        all |= from[i].name.len | from[i].value.len;
        size += from[i].name.len + from[i].value.len;
    }
    return (all > size ? all : size) > FIELDS_SIZE_MAX ? SIZE_MAX : size;
}

/* ---- copying, eight bytes at a time where nothing is unusual ---- */

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* A high bit is set unless all eight are small letters or "-". Without a byte above 127 additions carry nowhere, and
 * such a byte is one itself. */
static inline uint64_t odd_in_name(uint64_t word)
{
    uint64_t not_letter = ~(word + ONES * (0x80 - 'a')) | (word + ONES * (0x7f - 'z'));
    uint64_t not_dash = (word ^ ONES * '-') + ~HIGHS;
    return (not_letter & not_dash) | word;
}

/* A high bit is set unless all eight are from space to "~". The lowest byte that is not sets its own in one of the
 * three, whatever borrows and carries reach the others. */
static inline uint64_t odd_in_value(uint64_t word)
{
    return (word - ONES * ' ') | (word + ONES) | word;
}

/* At least eight bytes. Returns what is odd in them. */
static inline uint64_t copy_words(char *out, casgi_str_t from, uint64_t (*odd_in)(uint64_t word))
{
    uint64_t word, odd = 0;
    size_t last = from.len - sizeof(word);
    for (size_t at = 0; at < last; at += sizeof(word)) {
        memcpy(&word, from.ptr + at, sizeof(word));
        memcpy(out + at, &word, sizeof(word));
        odd |= odd_in(word);
    }
    memcpy(&word, from.ptr + last, sizeof(word)); /* the last eight, some of them again */
    memcpy(out + last, &word, sizeof(word));
    return odd | odd_in(word);
}

/* false: something else is there, or too little; `out` is then undefined. */
static inline bool copy_plain(char *out, casgi_str_t from, uint64_t (*odd_in)(uint64_t word))
{
    return from.len >= sizeof(uint64_t) && !(copy_words(out, from, odd_in) & HIGHS);
}

/* Makes a line of name and value, which lie at `at`, two bytes apart. */
static inline void put_line(casgi_header_t *out, char *at, size_t name, size_t value)
{
    char *behind = at + name + 2;
    memcpy(at + name, ": ", 2);
    memcpy(behind + value, "\r\n", 2);
    *out = (casgi_header_t){ { at, name }, { behind, value }, { 0, 0 } };
}

static __attribute__((noinline)) bool copy_odd_value(char *out, casgi_str_t value)
{
    if (!http_is_field_value(value)) {
        return false;
    }
    if (value.len) {
        memcpy(out, value.ptr, value.len);
    }
    return true;
}

/* Copies one field to `at`, as a line. NULL, or why it is refused. */
static inline const char *copy_field(const casgi_header_t *from, char *at, casgi_header_t *out)
{
    casgi_str_t name = from->name, value = from->value;
    char *behind = at + name.len + 2;
    if (!copy_plain(at, name, odd_in_name) && !http_lower_name(at, name)) {
        return "a field name is not a token";
    }
    if (!copy_plain(behind, value, odd_in_value) && !copy_odd_value(behind, value)) {
        return "a field value has a control character";
    }
    put_line(out, at, name.len, value.len);
    return NULL;
}

/* Takes out what is framing. *out_keep: it is sent on as it is. NULL, or why it is refused. */
static __attribute__((noinline)) const char *sort_out(const casgi_header_t *field, struct response_head *head,
                                                      bool *out_keep)
{
    enum field_kind kind = kind_of(field->name);
    *out_keep = kind == FIELD_PLAIN;
    if (kind == FIELD_CONNECTION) {
        head->close = head->close || http_field_has_token(field->value, (casgi_str_t)CASGI_STR("close"));
    } else if (kind == FIELD_CONTENT_LENGTH) {
        if (head->content_length >= 0) {
            return "there are two content-length fields";
        }
        if (!http_field_length(field->value, &head->content_length)) {
            return "content-length is not a number";
        }
    }
    return NULL;
}

/* All of them, to `first` and `text`. */
static inline int copy_all(const casgi_header_t *from, size_t count, casgi_header_t *first, char *text,
                           struct response_head *head, uint64_t *out_lengths, const char **out_why)
{
    casgi_header_t *field = first;
    char *at = text;
    uint64_t lengths = 0;
    head->content_length = -1;
    head->close = false;
    for (size_t i = 0; i < count; i++) {
        bool keep = true;
        uint64_t length = field_length_bit(from[i].name.len);
        const char *why = copy_field(&from[i], at, field);
        if (!why && length & KNOWN_LENGTHS) {
            why = sort_out(field, head, &keep);
        }
        if (why) {
            *out_why = why;
            return CASGI_EINVAL;
        }
        lengths |= length;
        at += keep ? from[i].name.len + from[i].value.len + LINE_EXTRA : 0;
        field += keep;
    }
    head->headers = first;
    head->header_count = (size_t)(field - first);
    head->lines = (casgi_str_t){ text, (size_t)(at - text) };
    *out_lengths = lengths;
    return 0;
}

int fields_copy(struct arena *arena, const casgi_header_t *from, size_t count, size_t extra, struct response_head *head,
                uint64_t *out_lengths, const char **out_why)
{
    size_t size = count > FIELDS_SIZE_MAX ? SIZE_MAX : text_size(from, count);
    if (size == SIZE_MAX) {
        *out_why = "the fields are larger than 1 MiB";
        return CASGI_EINVAL;
    }
    casgi_header_t *fields = arena_alloc(arena, (count + extra) * sizeof(*fields) + size);
    if (!fields) {
        return CASGI_ENOMEM;
    }
    return copy_all(from, count, fields, (char *)(fields + count + extra), head, out_lengths, out_why);
}
