/* base/utf8.h: is it UTF-8 (RFC 3629)? Surrogates, overlong forms and what lies above U+10FFFF are not. */
#pragma once

#include "casgi/base.h"

/* Whether all of it is UTF-8. A NUL byte is; look for it with memchr. */
bool utf8_valid(casgi_str_t text);

/* Length, 1 to 4, of the whole character at the start of `text`; 0 if there is none or it is not UTF-8. */
size_t utf8_char_len(casgi_str_t text);
