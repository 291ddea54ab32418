/* base/httpchars.h: which bytes HTTP allows where (RFC 9110, section 5.5 and 5.6.2), by table. */
#pragma once

#include "casgi/base.h"

enum http_char {
    HTTP_TCHAR = 1,   /* of a token: method, field name */
    HTTP_FIELD = 2,   /* of a field value: visible, space, tab, and bytes above 127 */
    HTTP_VISIBLE = 4, /* 0x21 to 0x7e */
    HTTP_ID = 8,      /* letters, digits, "-_.:+/=@": of a request id taken from a client */
    HTTP_TARGET = 16, /* visible but "#": of a request target */
};

extern const unsigned char http_chars[256]; /* enum http_char, or-ed */

/* The byte in lower case if it is a tchar, else 0: a field name is checked and lowered in one pass. */
extern const unsigned char http_token_lower[256];

static inline bool http_char_is(char c, int classes)
{
    return (http_chars[(unsigned char)c] & classes) != 0;
}

/* Whether every byte is of one of the classes. True for "". */
bool http_chars_all(casgi_str_t text, int classes);

/* Whether it is a token: not empty, all tchars. */
bool http_is_token(casgi_str_t text);

/* Whether it may stand as a field value: no CR, LF, NUL or other control characters but tab. True for "". Spaces
 * around it are let pass. */
bool http_is_field_value(casgi_str_t text);

/* Copies a field name in lower case; `out` has room for name.len bytes. false: not a token. */
bool http_lower_name(char *out, casgi_str_t name);
