#include "protocol/http1_scan.h"

#include "base/httpchars.h"

#include <string.h>

/* Positions are 32 bits wide. */
#define SIZE_MOST ((size_t)1 << 30)

static int fault_at(struct http1_fault *out_fault, int status, size_t offset, const char *reason)
{
    out_fault->status = status;
    out_fault->offset = offset;
    out_fault->reason = reason;
    return CASGI_EINVAL;
}

static inline int check_first_byte(const struct http1_scan *scan, const char *data, struct http1_fault *out_fault)
{
    char c = data[scan->line];
    if (http_char_is(c, HTTP_TCHAR) || c == '\r' || c == '\n') {
        return 0;
    }
    return fault_at(out_fault, 400, scan->line, "the method is not a token");
}

/* One whole line, `end` at its LF. 1: it was the empty one that ends the head. */
static inline int take_line(struct http1_scan *scan, const char *data, size_t end, size_t field_limit,
                            struct http1_fault *out_fault)
{
    size_t line = scan->line;
    if (end == line || data[end - 1] != '\r') {
        return fault_at(out_fault, 400, end, "bare LF in the head");
    }
    scan->line = scan->searched = (uint32_t)end + 1;
    if (end - line == 1) {
        return 1;
    }
    if (scan->lines && (data[line] == ' ' || data[line] == '\t')) {
        return fault_at(out_fault, 400, line, "folded header line");
    }
    if (field_limit && scan->lines > field_limit) {
        return fault_at(out_fault, 431, line, "too many header fields");
    }
    scan->lines++;
    return 0;
}

/* The lines within the first `seen` bytes. */
static inline int take_lines(struct http1_scan *scan, const char *data, size_t seen, size_t field_limit,
                             struct http1_fault *out_fault)
{
    int rc = 0;
    while (rc == 0 && scan->searched < seen) {
        if (!scan->lines && check_first_byte(scan, data, out_fault) != 0) {
            return CASGI_EINVAL;
        }
        const char *found = memchr(data + scan->searched, '\n', seen - scan->searched);
        if (!found) {
            scan->searched = (uint32_t)seen;
            break;
        }
        rc = take_line(scan, data, (size_t)(found - data), field_limit, out_fault);
    }
    return rc;
}

int http1_scan(struct http1_scan *scan, const char *data, size_t size, size_t size_limit, size_t field_limit,
               struct http1_fault *out_fault)
{
    size_t limit = size_limit && size_limit < SIZE_MOST ? size_limit : SIZE_MOST;
    struct http1_scan now = *scan; /* so that it stays in registers */
    int rc = take_lines(&now, data, size < limit + 1 ? size : limit + 1, field_limit, out_fault);
    *scan = now;
    if (rc < 0 || now.searched <= limit) {
        return rc;
    }
    return now.lines ? fault_at(out_fault, 431, limit, "the head is too large")
                     : fault_at(out_fault, 414, limit, "the request line is too long");
}
