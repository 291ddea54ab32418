/* base/httpdate.h: HTTP's date (RFC 9110, section 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT". */
#pragma once

#include "casgi/base.h"

#define HTTP_DATE_LEN 29

/* [any] Now. Formatted at most once a second per thread; borrowed until this thread asks again. */
casgi_str_t http_date(void);

/* [any] Any second since 1970, into `out` with a NUL. */
void http_date_format(char out[static HTTP_DATE_LEN + 1], int64_t unix_seconds);
