#include "base/httpfield.h"

#include <string.h>

static char lower_case(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool http_field_is(casgi_str_t value, casgi_str_t lower)
{
    if (value.len != lower.len) {
        return false;
    }
    for (size_t i = 0; i < value.len; i++) {
        if (lower_case(value.ptr[i]) != lower.ptr[i]) {
            return false;
        }
    }
    return true;
}

bool http_field_length(casgi_str_t value, int64_t *out_length)
{
    uint64_t length = 0;
    for (size_t i = 0; i < value.len; i++) {
        unsigned digit = (unsigned)(unsigned char)value.ptr[i] - '0';
        if (digit > 9 || length > ((uint64_t)INT64_MAX - digit) / 10) {
            return false;
        }
        length = length * 10 + digit;
    }
    if (!value.len) {
        return false;
    }
    *out_length = (int64_t)length;
    return true;
}

bool http_field_next(casgi_str_t *list, casgi_str_t *out_member)
{
    while (list->len) {
        const char *begin = list->ptr, *behind = begin + list->len;
        const char *comma = memchr(begin, ',', list->len);
        const char *end = comma ? comma : behind;
        list->ptr = comma ? comma + 1 : behind;
        list->len = (size_t)(behind - list->ptr);
        while (begin < end && is_blank(*begin)) {
            begin++;
        }
        while (end > begin && is_blank(end[-1])) {
            end--;
        }
        if (begin < end) {
            *out_member = (casgi_str_t){ begin, (size_t)(end - begin) };
            return true;
        }
    }
    return false;
}

bool http_field_has_token(casgi_str_t list, casgi_str_t token)
{
    casgi_str_t member;
    while (http_field_next(&list, &member)) {
        if (http_field_is(member, token)) {
            return true;
        }
    }
    return false;
}
