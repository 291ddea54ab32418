#include "base/utf8.h"

#include <string.h>

static bool in_range(unsigned char c, unsigned char low, unsigned char high)
{
    return c >= low && c <= high;
}

/* The second byte carries the restrictions of RFC 3629, section 4 (UTF8-3, UTF8-4). */
static bool second_is_valid(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return in_range(second, 0xa0, 0xbf);
    case 0xed:
        return in_range(second, 0x80, 0x9f);
    case 0xf0:
        return in_range(second, 0x90, 0xbf);
    case 0xf4:
        return in_range(second, 0x80, 0x8f);
    default:
        return in_range(second, 0x80, 0xbf);
    }
}

static size_t len_by_first(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (in_range(first, 0xc2, 0xdf)) {
        return 2;
    }
    if (in_range(first, 0xe0, 0xef)) {
        return 3;
    }
    return in_range(first, 0xf0, 0xf4) ? 4 : 0;
}

size_t utf8_char_len(casgi_str_t text)
{
    if (!text.len) {
        return 0;
    }
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    size_t len = len_by_first(bytes[0]);
    if (len > text.len || (len > 1 && !second_is_valid(bytes[0], bytes[1]))) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if (!in_range(bytes[i], 0x80, 0xbf)) {
            return 0;
        }
    }
    return len;
}

/* How many bytes at the start are ASCII, counted eight at a time: at least all but the last seven of them. */
static size_t ascii_run(const char *bytes, size_t size)
{
    size_t at = 0;
    for (; size - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof(word));
        if (word & UINT64_C(0x8080808080808080)) {
            break;
        }
    }
    return at;
}

bool utf8_valid(casgi_str_t text)
{
    size_t at = 0;
    while (at < text.len) {
        at += ascii_run(text.ptr + at, text.len - at);
        if (at == text.len) {
            break;
        }
        size_t len = utf8_char_len((casgi_str_t){ text.ptr + at, text.len - at });
        if (!len) {
            return false;
        }
        at += len;
    }
    return true;
}
