/* protocol/http1_field.h: the few header fields that HTTP/1 itself acts upon. */
#pragma once

#include "casgi/base.h"

/* Whether the texts are the same but for case; `lower` is in lower case. */
bool http1_field_is(casgi_str_t value, casgi_str_t lower);

/* 1*DIGIT up to 2^63-1. false: anything else, also lists and signs. */
bool http1_field_length(casgi_str_t value, int64_t *out_length);

/* Whether it is uri-host [":" port] (RFC 9110, section 7.2): a name, an IPv4 address or an IP literal in brackets; the
 * empty text too. */
bool http1_field_host(casgi_str_t value);

/* Whether `token` (lower case) is among a list's comma-separated members. */
bool http1_field_has_token(casgi_str_t value, casgi_str_t token);
