#include "protocol/http1_scan.h"

#include "base/httpchars.h"

#include <string.h>

/* Positions and counts are 32 bits wide. */
#define SIZE_MOST ((size_t)1 << 30)

static int fault_at(struct http1_fault *out_fault, int status, size_t offset, const char *reason)
{
    out_fault->status = status;
    out_fault->offset = offset;
    out_fault->reason = reason;
    return CASGI_EINVAL;
}

static int check_first_byte(char c, struct http1_fault *out_fault)
{
    if (http_char_is(c, HTTP_TCHAR) || c == '\r' || c == '\n') {
        return 0;
    }
    return fault_at(out_fault, 400, 0, "the method is not a token");
}

/* What begins the first line is no blank: check_first_byte. */
static inline bool is_folded(const char *line)
{
    return *line == ' ' || *line == '\t';
}

/* The lines of data[0..size) that are whole. 1: the last one is the empty one that ends the head. */
static inline int take_lines(struct http1_scan *scan, const char *data, size_t size, size_t most_lines,
                             struct http1_fault *out_fault)
{
    const char *end = data + size, *line = data + scan->line, *at = data + scan->searched, *lf;
    size_t lines = scan->lines;
    int rc = 0;
    while (rc == 0 && (lf = memchr(at, '\n', (size_t)(end - at)))) {
        if (lf == line || lf[-1] != '\r') {
            return fault_at(out_fault, 400, (size_t)(lf - data), "bare LF in the head");
        }
        at = lf + 1;
        if (lf - line == 1) {
            rc = 1;
        } else if (is_folded(line)) {
            return fault_at(out_fault, 400, (size_t)(line - data), "folded header line");
        } else if (++lines > most_lines) {
            return fault_at(out_fault, 431, (size_t)(line - data), "too many header fields");
        }
        line = at;
    }
    scan->line = (uint32_t)(line - data);
    scan->searched = (uint32_t)((rc ? at : end) - data);
    scan->lines = (uint32_t)lines;
    return rc;
}

int http1_scan(struct http1_scan *scan, const char *data, size_t size, size_t size_limit, size_t field_limit,
               struct http1_fault *out_fault)
{
    size_t limit = size_limit && size_limit < SIZE_MOST ? size_limit : SIZE_MOST;
    size_t most_lines = field_limit && field_limit < SIZE_MOST ? 1 + field_limit : SIZE_MOST;
    int rc = scan->lines ? 0 : check_first_byte(*data, out_fault);
    if (rc == 0) {
        rc = take_lines(scan, data, size < limit + 1 ? size : limit + 1, most_lines, out_fault);
    }
    if (rc < 0 || scan->searched <= limit) {
        return rc;
    }
    return scan->lines ? fault_at(out_fault, 431, limit, "the head is too large")
                       : fault_at(out_fault, 414, limit, "the request line is too long");
}
