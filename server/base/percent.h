/* base/percent.h: percent-decoding of request targets (RFC 3986, section 2.1). */
#pragma once

#include "casgi/base.h"

/* Decodes "%2F" and the like; "+" stays. Writes at most text.len bytes and a NUL to `out`, which has room for
 * text.len + 1 and may be text.ptr itself. CASGI_EINVAL: a "%" without two hexadecimal digits; what `out` holds is then
 * undefined. Looks at neither NUL bytes nor UTF-8: the caller does. */
int percent_decode(char *out, casgi_str_t text, size_t *out_len) __attribute__((warn_unused_result));

/* The value of a hexadecimal digit; -1 for any other byte. */
int percent_hex_value(char c);
