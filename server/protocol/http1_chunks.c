#include "protocol/http1_chunks.h"

#include "base/httpchars.h"
#include "base/percent.h"

/*   SIZE_FIRST -> SIZE -> [SPACE] -> LINE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE_FIRST
 *                          | ;          | size 0
 *                          v            v
 *                     EXT_... -> LINE_LF   TRAILER -> TRAILER_NAME -> TRAILER_VALUE -> TRAILER_LF -> TRAILER
 *                                          | CR
 *                                          v
 *                                         LAST_LF -> DONE */
enum state {
    SIZE_FIRST,
    SIZE,
    SPACE,
    EXT_START,
    EXT_NAME,
    EXT_NAME_SPACE,
    EXT_VALUE,
    EXT_TOKEN,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_END,
    LINE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    DONE,
};

void http1_chunks_init(struct http1_chunks *chunks)
{
    *chunks = (struct http1_chunks){ .state = SIZE_FIRST };
}

static const char *to(struct http1_chunks *chunks, enum state state)
{
    chunks->state = (uint8_t)state;
    return NULL;
}

static const char *to_if(struct http1_chunks *chunks, bool allowed, enum state state, const char *reason)
{
    return allowed ? to(chunks, state) : reason;
}

/* Every step takes one byte and returns NULL, or why it is refused. */

static const char *step_size(struct http1_chunks *chunks, char c)
{
    int digit = percent_hex_value(c);
    if (digit >= 0) {
        /* Below 2^63, as content-length is. */
        if (chunks->digits >= 16 || chunks->left >> 59) {
            return "the chunk size is too large";
        }
        chunks->left = chunks->left << 4 | (uint64_t)digit;
        chunks->digits++;
        return to(chunks, SIZE);
    }
    if (chunks->state == SIZE_FIRST) {
        return "the chunk size is not hexadecimal";
    }
    switch (c) {
    case '\r':
        return to(chunks, LINE_LF);
    case ';':
        return to(chunks, EXT_START);
    case ' ':
    case '\t':
        return to(chunks, SPACE);
    default:
        return "the chunk size is not hexadecimal";
    }
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* Behind a name or a value: the next extension or the line's end. */
static const char *step_ext_end(struct http1_chunks *chunks, char c, enum state space)
{
    if (c == '\r') {
        return to(chunks, LINE_LF);
    }
    if (c == ';') {
        return to(chunks, EXT_START);
    }
    return to_if(chunks, is_space(c), space, "bad chunk extension");
}

static const char *step_ext_value(struct http1_chunks *chunks, char c)
{
    switch (chunks->state) {
    case EXT_VALUE:
        if (c == '"') {
            return to(chunks, EXT_QUOTED);
        }
        return is_space(c) ? NULL : to_if(chunks, http_char_is(c, HTTP_TCHAR), EXT_TOKEN, "bad chunk extension");
    case EXT_TOKEN:
        return http_char_is(c, HTTP_TCHAR) ? NULL : step_ext_end(chunks, c, EXT_END);
    case EXT_QUOTED:
        if (c == '"' || c == '\\') {
            return to(chunks, c == '"' ? EXT_END : EXT_ESCAPED);
        }
        return http_char_is(c, HTTP_FIELD) ? NULL : "bad chunk extension";
    case EXT_ESCAPED:
        return to_if(chunks, http_char_is(c, HTTP_FIELD), EXT_QUOTED, "bad chunk extension");
    default:
        return step_ext_end(chunks, c, EXT_END);
    }
}

static const char *step_ext_name(struct http1_chunks *chunks, char c)
{
    bool token = http_char_is(c, HTTP_TCHAR);
    switch (chunks->state) {
    case SPACE: /* bad whitespace (RFC 9110, section 5.6.3) may stand before a ";" only */
        return is_space(c) ? NULL : to_if(chunks, c == ';', EXT_START, "space behind the chunk size");
    case EXT_START:
        return is_space(c) ? NULL : to_if(chunks, token, EXT_NAME, "bad chunk extension");
    default:
        if (token) {
            return chunks->state == EXT_NAME ? NULL : "bad chunk extension";
        }
        return c == '=' ? to(chunks, EXT_VALUE) : step_ext_end(chunks, c, EXT_NAME_SPACE);
    }
}

static const char *step_trailer(struct http1_chunks *chunks, char c)
{
    bool token = http_char_is(c, HTTP_TCHAR);
    switch (chunks->state) {
    case TRAILER:
        return c == '\r' ? to(chunks, LAST_LF) : to_if(chunks, token, TRAILER_NAME, "bad trailer field name");
    case TRAILER_NAME:
        return token ? NULL : to_if(chunks, c == ':', TRAILER_VALUE, "bad trailer field name");
    case TRAILER_VALUE:
        if (c == '\r') {
            return to(chunks, TRAILER_LF);
        }
        return http_char_is(c, HTTP_FIELD) ? NULL : "bad byte in a trailer field value";
    case TRAILER_LF:
        return to_if(chunks, c == '\n', TRAILER, "bare CR in the trailers");
    default:
        return to_if(chunks, c == '\n', DONE, "bare CR in the trailers");
    }
}

static const char *step_line_end(struct http1_chunks *chunks, char c)
{
    switch (chunks->state) {
    case LINE_LF:
        chunks->digits = 0;
        return to_if(chunks, c == '\n', chunks->left ? DATA : TRAILER, "bare CR in a chunk line");
    case DATA_CR:
        return to_if(chunks, c == '\r', DATA_LF, "the chunk is longer than its size");
    default:
        return to_if(chunks, c == '\n', SIZE_FIRST, "bare CR behind a chunk");
    }
}

static const char *step_overhead(struct http1_chunks *chunks, char c)
{
    if (++chunks->overhead > HTTP1_CHUNKS_OVERHEAD) {
        return "too many bytes of chunk extensions and trailers";
    }
    if (chunks->state >= TRAILER) {
        return step_trailer(chunks, c);
    }
    return chunks->state <= EXT_NAME_SPACE ? step_ext_name(chunks, c) : step_ext_value(chunks, c);
}

static const char *step(struct http1_chunks *chunks, char c)
{
    switch (chunks->state) {
    case SIZE_FIRST:
    case SIZE:
        return step_size(chunks, c);
    case LINE_LF:
    case DATA_CR:
    case DATA_LF:
        return step_line_end(chunks, c);
    default:
        return step_overhead(chunks, c);
    }
}

uint64_t http1_chunks_sure(const struct http1_chunks *chunks)
{
    return chunks->state == DATA ? chunks->left : 0;
}

void http1_chunks_skip(struct http1_chunks *chunks, uint64_t size)
{
    chunks->left -= size;
    if (chunks->left == 0) {
        chunks->state = DATA_CR;
    }
}

enum http1_chunks_found http1_chunks_next(struct http1_chunks *chunks, const char *data, size_t size, size_t *out_used,
                                          casgi_str_t *out_body, const char **out_reason)
{
    size_t used = 0;
    enum http1_chunks_found found = CHUNKS_MORE;
    while (used < size && chunks->state != DATA && chunks->state != DONE) {
        const char *reason = step(chunks, data[used]);
        if (reason) {
            *out_reason = reason;
            found = CHUNKS_BAD;
            goto out;
        }
        used++;
    }
    if (chunks->state == DONE) {
        found = CHUNKS_END;
    } else if (used < size) {
        size_t rest = size - used;
        *out_body = (casgi_str_t){ data + used, chunks->left < rest ? (size_t)chunks->left : rest };
        http1_chunks_skip(chunks, out_body->len);
        used += out_body->len;
        found = CHUNKS_DATA;
    }
out:
    *out_used = used;
    return found;
}
