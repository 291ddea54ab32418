/* protocol/http1_scan.h: where a request's head ends, line by line, over any split of the input.
 *
 * Refuses as soon as they are seen: a line that does not end in CRLF, a folded line, a first byte that begins no method
 * (a TLS client on the wrong port), too many bytes, too many fields. What is inside the lines is http1_head's to judge.
 */
#pragma once

#include "casgi/base.h"

/* Why a request is refused. */
struct http1_fault {
    int status;
    size_t offset;      /* of the byte at fault, from the request's first */
    const char *reason; /* static */
};

/* Positions from the first byte of the request. Zeroed at its begin. */
struct http1_scan {
    uint32_t line;     /* of the line being looked at */
    uint32_t searched; /* no line end between `line` and here */
    uint32_t lines;    /* whole ones seen, the request line included */
};

/* Looks at data[0..size), which is not empty, begins with no empty line, and of which earlier calls have seen a part.
 * 1: whole, the head ends at scan->searched; 0: more is needed; CASGI_EINVAL: *out_fault. Limits of 0 are none. */
int http1_scan(struct http1_scan *scan, const char *data, size_t size, size_t size_limit, size_t field_limit,
               struct http1_fault *out_fault);
