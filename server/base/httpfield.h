/* base/httpfield.h: the forms of field values that several rooms read (RFC 9110, sections 5.6.1 and 8.6). */
#pragma once

#include "casgi/base.h"

/* [any] Whether the texts are the same but for case; `lower` is in lower case. */
bool http_field_is(casgi_str_t value, casgi_str_t lower);

/* [any] A content-length: 1*DIGIT, leading zeros allowed, up to 2^63-1, the largest that any file or counter here can
 * have. false: anything else, also lists, signs and larger numbers. */
bool http_field_length(casgi_str_t value, int64_t *out_length);

/* [any] Takes the first member off a comma-separated list; the blanks around it stay out. Empty ones are skipped.
 * false: there is none left. */
bool http_field_next(casgi_str_t *list, casgi_str_t *out_member);

/* [any] Whether `token` (lower case) is among a list's members. */
bool http_field_has_token(casgi_str_t list, casgi_str_t token);
