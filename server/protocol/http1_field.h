/* protocol/http1_field.h: the host field. */
#pragma once

#include "casgi/base.h"

/* Whether it is uri-host [":" port] (RFC 9110, section 7.2): a name, an IPv4 address or an IP literal in brackets, and
 * a port up to 65535; the empty text too. What ends it is not of its bytes: a NUL, say. */
bool http1_field_host(casgi_str_t value);
