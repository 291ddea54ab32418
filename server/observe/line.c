#include "observe/line.h"

#include "base/log.h"

enum { ADDRESS_MAX = 120 };

void line_put_number(struct line *line, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    line_put(line, (casgi_str_t){ digits + at, sizeof(digits) - at });
}

void line_put_signed(struct line *line, int64_t value)
{
    if (value < 0) {
        line_put_char(line, '-');
    }
    line_put_number(line, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void line_put_milliseconds(struct line *line, uint64_t microseconds, int digits)
{
    uint64_t thousandths = digits == 3 ? microseconds : (microseconds + 50) / 100 * 100;
    line_put_number(line, thousandths / 1000);
    line_put_char(line, '.');
    char fraction[3] = { (char)('0' + thousandths / 100 % 10), (char)('0' + thousandths / 10 % 10),
                         (char)('0' + thousandths % 10) };
    line_put(line, (casgi_str_t){ fraction, digits == 3 ? 3 : 1 });
}

/* The room for an escaped text, its NUL included. */
static size_t place(const struct line *line, size_t most)
{
    return most < line_room(line) ? most + 1 : line_room(line) + 1;
}

void line_put_escaped(struct line *line, casgi_str_t text, size_t most)
{
    line->at += log_escape(line->at, place(line, most), text);
}

void line_put_json(struct line *line, casgi_str_t text, size_t most)
{
    line->at += log_escape_json(line->at, place(line, most), text);
}

void line_put_address(struct line *line, const casgi_address_t *address,
                      void (*escape)(struct line *line, casgi_str_t text, size_t most))
{
    casgi_str_t host = address->host;
    if (!host.len) {
        line_put_char(line, '-');
        return;
    }
    bool brackets = address->port >= 0 && memchr(host.ptr, ':', host.len);
    if (brackets) {
        line_put_char(line, '[');
    }
    escape(line, host, ADDRESS_MAX);
    if (brackets) {
        line_put_char(line, ']');
    }
    if (address->port >= 0) {
        line_put_char(line, ':');
        line_put_signed(line, address->port);
    }
}
