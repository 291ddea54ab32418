/* observe/line.h: text put together in a place of fixed size, without malloc or printf. What does not fit is cut; a cut
 * line ends somewhere, but is always terminated. */
#pragma once

#include "casgi/base.h"
#include "casgi/scope.h"

#include <string.h>

struct line {
    char *at;
    char *end; /* of the place, room for the NUL excluded */
};

static inline struct line line_begin(char *place, size_t size)
{
    struct line line = { place, place + size - 1 };
    return line;
}

static inline size_t line_room(const struct line *line)
{
    return (size_t)(line->end - line->at);
}

static inline void line_put(struct line *line, casgi_str_t text)
{
    if (text.len > line_room(line)) {
        text.len = line_room(line);
        memcpy(line->at, text.ptr, text.len);
    } else if (text.len) {
        memcpy(line->at, text.ptr, text.len); /* of a literal: no call */
    }
    line->at += text.len;
}

#define line_put_literal(line, literal) line_put((line), (casgi_str_t)CASGI_STR(literal))

static inline void line_put_char(struct line *line, char c)
{
    if (line->at < line->end) {
        *line->at++ = c;
    }
}

void line_put_number(struct line *line, uint64_t value);
void line_put_signed(struct line *line, int64_t value);

/* Microseconds as milliseconds, with one or three digits behind the point. */
void line_put_milliseconds(struct line *line, uint64_t microseconds, int digits);

/* Escaped as between quotes in the log, of which it takes at most `most` bytes. */
void line_put_escaped(struct line *line, casgi_str_t text, size_t most);

/* The same for JSON. */
void line_put_json(struct line *line, casgi_str_t text, size_t most);

/* "127.0.0.1:51234", "[::1]:51234", "/run/app.sock"; "-" if it is unknown. `escape`: one of the two above. */
void line_put_address(struct line *line, const casgi_address_t *address,
                      void (*escape)(struct line *line, casgi_str_t text, size_t most));
