/* Trees to texts. cJSON prints a number by printf and reads it again by scanf, and a text byte by byte; this gives the
 * same text (tests/fuzz/kit compares) in a quarter of the instructions. */
#include "casgi/kit/json.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Grows in the arena. */
struct output {
    char *data;
    size_t size;
    size_t capacity;
};

static int grow(struct output *out, size_t more)
{
    size_t capacity = (out->capacity + more) * 2;
    char *data = casgi_alloc(capacity);
    if (!data) {
        return CASGI_ENOMEM;
    }
    if (out->size > 0) {
        memcpy(data, out->data, out->size);
    }
    out->data = data;
    out->capacity = capacity;
    return 0;
}

/* There is room for `more` bytes. */
static inline int reserve(struct output *out, size_t more)
{
    return out->capacity - out->size >= more ? 0 : grow(out, more);
}

static int put(struct output *out, const char *text, size_t size)
{
    int rc = reserve(out, size);
    if (rc == 0) {
        memcpy(out->data + out->size, text, size);
        out->size += size;
    }
    return rc;
}

static int put_char(struct output *out, char c)
{
    int rc = reserve(out, 1);
    if (rc == 0) {
        out->data[out->size++] = c;
    }
    return rc;
}

/* ---- numbers ---- */

#define NUMBER_SIZE 40 /* no number is longer */

/* The digits of an integer below 10^15, with a decimal point before the last `decimals` of them. */
static char *put_decimal(char *to, uint64_t value, unsigned decimals)
{
    char digits[24];
    char *at = digits + sizeof(digits), *end = at;
    for (unsigned i = 0; value > 0 || i <= decimals; i++) {
        if (i == decimals && i > 0) {
            *--at = '.';
        }
        *--at = (char)('0' + value % 10);
        value /= 10;
    }
    memcpy(to, at, (size_t)(end - at));
    return to + (end - at);
}

/* A decimal of at most 15 digits, few of them behind the point: it is exact, since two integers that a double holds,
 * divided, give the double that reading the decimal gives, and %.15g gives that decimal back. *out_digits: the decimal
 * without its point; the result: how many digits are behind it. -1: it is another number. */
static int find_decimals(double value, uint64_t *out_digits)
{
    static const double powers[] = { 1, 1e1, 1e2, 1e3, 1e4 };
    for (int i = 0; i < (int)(sizeof(powers) / sizeof(powers[0])) && value * powers[i] < 1e15 - 1; i++) {
        uint64_t digits = (uint64_t)(value * powers[i] + 0.5);
        if ((double)digits / powers[i] == value) {
            *out_digits = digits;
            return i;
        }
    }
    return -1;
}

/* As printf sees it, with as many digits (15 to 17) as it takes to read the same number. cJSON is content with nearly
 * the same, and so makes 0.30000000000000004 a 0.3 and the largest double infinite. */
static char *put_general(char *to, double value)
{
    int size = 0;
    for (int digits = 15; digits <= 17; digits++) {
        size = snprintf(to, NUMBER_SIZE, "%.*g", digits, value);
        if (strtod(to, NULL) == value) {
            break;
        }
    }
    const char *point = localeconv()->decimal_point;
    char *found = *point == '.' ? NULL : strchr(to, *point);
    if (found) {
        *found = '.';
    }
    return to + size;
}

static int put_number(struct output *out, double value)
{
    uint64_t digits;
    if (isnan(value) || isinf(value)) {
        return put(out, "null", 4);
    }
    int rc = reserve(out, NUMBER_SIZE);
    if (rc) {
        return rc;
    }
    char *to = out->data + out->size;
    double size = fabs(value);
    int decimals = size >= 1e-4 || (size == 0 && !signbit(value)) ? find_decimals(size, &digits) : -1;
    if (decimals < 0) {
        to = put_general(to, value);
    } else {
        if (value < 0) {
            *to++ = '-';
        }
        to = put_decimal(to, digits, (unsigned)decimals);
    }
    out->size = (size_t)(to - out->data);
    return 0;
}

/* ---- strings ---- */

#define EACH_BYTE(byte) (UINT64_MAX / 255 * (byte))

/* Nonzero if one of eight bytes is `"`, `\` or below 32; without false alarms for plain ASCII. */
static inline uint64_t has_special(uint64_t bytes)
{
    uint64_t quote = bytes ^ EACH_BYTE('"'), backslash = bytes ^ EACH_BYTE('\\');
    return ((bytes - EACH_BYTE(32)) | (quote - EACH_BYTE(1)) | (backslash - EACH_BYTE(1))) & ~bytes & EACH_BYTE(128);
}

static inline bool is_special(char c)
{
    return (unsigned char)c < 32 || c == '"' || c == '\\';
}

/* Copies what needs no escape up to the first byte that does; how many bytes that were. */
static inline size_t copy_plain(char *to, const char *text, size_t size)
{
    size_t i = 0;
    for (uint64_t eight; size - i >= sizeof(eight); i += sizeof(eight)) {
        memcpy(&eight, text + i, sizeof(eight));
        if (has_special(eight)) {
            break;
        }
        memcpy(to + i, &eight, sizeof(eight));
    }
    for (; i < size && !is_special(text[i]); i++) {
        to[i] = text[i];
    }
    return i;
}

static int put_escape(struct output *out, char c)
{
    static const char letters[32] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };
    char text[8] = { '\\', c };
    size_t size = 2;
    if ((unsigned char)c < 32 && letters[(unsigned char)c]) {
        text[1] = letters[(unsigned char)c];
    } else if ((unsigned char)c < 32) {
        size = (size_t)snprintf(text, sizeof(text), "\\u%04x", (unsigned)c);
    }
    return put(out, text, size);
}

static int put_string(struct output *out, const char *text)
{
    size_t left = text ? strlen(text) : 0;
    int rc = reserve(out, left + 2);
    if (rc) {
        return rc;
    }
    out->data[out->size++] = '"';
    while (left > 0) {
        size_t plain = copy_plain(out->data + out->size, text, left);
        out->size += plain;
        text += plain;
        left -= plain;
        if (left > 0) {
            rc = put_escape(out, *text++);
            left--;
            rc = rc ? rc : reserve(out, left + 1);
            if (rc) {
                return rc;
            }
        }
    }
    out->data[out->size++] = '"';
    return 0;
}

/* ---- trees ---- */

static int put_value(struct output *out, const cJSON *value, unsigned depth);

static int put_items(struct output *out, const cJSON *parent, bool named, unsigned depth)
{
    int rc = depth < CASGI_JSON_NESTING_LIMIT ? put_char(out, named ? '{' : '[') : CASGI_EINVAL;
    for (const cJSON *item = parent->child; rc == 0 && item; item = item->next) {
        if (item != parent->child) {
            rc = put_char(out, ',');
        }
        if (rc == 0 && named) {
            rc = put_string(out, item->string);
            rc = rc ? rc : put_char(out, ':');
        }
        rc = rc ? rc : put_value(out, item, depth + 1);
    }
    return rc ? rc : put_char(out, named ? '}' : ']');
}

static int put_value(struct output *out, const cJSON *value, unsigned depth)
{
    switch (value->type & 0xFF) {
    case cJSON_NULL:
        return put(out, "null", 4);
    case cJSON_False:
        return put(out, "false", 5);
    case cJSON_True:
        return put(out, "true", 4);
    case cJSON_Number:
        return put_number(out, value->valuedouble);
    case cJSON_String:
        return put_string(out, value->valuestring);
    case cJSON_Raw:
        return value->valuestring ? put(out, value->valuestring, strlen(value->valuestring)) : CASGI_EINVAL;
    case cJSON_Array:
        return put_items(out, value, false, depth);
    case cJSON_Object:
        return put_items(out, value, true, depth);
    default:
        return CASGI_EINVAL;
    }
}

int casgi_json_print(const cJSON *value, casgi_str_t *out_text)
{
    struct output out = { 0 };
    *out_text = (casgi_str_t){ 0 };
    int rc = value ? reserve(&out, 256) : CASGI_EINVAL;
    rc = rc ? rc : put_value(&out, value, 0);
    rc = rc ? rc : put_char(&out, '\0');
    if (rc == 0) {
        *out_text = (casgi_str_t){ out.data, out.size - 1 };
    }
    return rc;
}
