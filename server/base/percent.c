#include "base/percent.h"

#include <string.h>

int percent_hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    int letter = c | 0x20;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

int percent_decode(char *out, casgi_str_t text, size_t *out_len)
{
    const char *from = text.ptr, *end = text.len ? text.ptr + text.len : text.ptr;
    char *to = out;
    while (from < end) {
        const char *escape = memchr(from, '%', (size_t)(end - from));
        size_t plain = (size_t)((escape ? escape : end) - from);
        memmove(to, from, plain);
        to += plain;
        from += plain;
        if (!escape) {
            break;
        }
        int high = end - from < 3 ? -1 : percent_hex_value(from[1]);
        int low = high < 0 ? -1 : percent_hex_value(from[2]);
        if (low < 0) {
            return CASGI_EINVAL;
        }
        *to++ = (char)(high * 16 + low);
        from += 3;
    }
    *to = '\0';
    *out_len = (size_t)(to - out);
    return 0;
}
