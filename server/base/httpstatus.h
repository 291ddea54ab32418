/* base/httpstatus.h: status codes and their reason phrases (RFC 9110, section 15, and IANA's registry). */
#pragma once

#include "casgi/base.h"

/* [any] "OK" for 200; "" for a number without a phrase. Static, NUL-terminated. */
casgi_str_t http_reason(int status);

/* [any] "HTTP/1.1 200 OK\r\n"; ptr NULL for a number without a phrase. Static. */
casgi_str_t http_status_line(int status);
