#include "base/log.h"

#include "base/utf8.h"

#include <string.h>

enum mode { MODE_QUOTED = 1, MODE_MESSAGE = 2, MODE_JSON = 4 };
enum { PIECE_MAX = 12 }; /* the longest form of one character: \xe2\x80\xa8 */

static const char hex_digits[] = "0123456789abcdef";

/* The modes in which a byte stands for itself. */
static const unsigned char plain[256] = {
    ['\t'] = MODE_MESSAGE, [' ' ... '!'] = MODE_QUOTED | MODE_MESSAGE | MODE_JSON,
    ['"'] = MODE_MESSAGE,  ['#' ... '['] = MODE_QUOTED | MODE_MESSAGE | MODE_JSON,
    ['\\'] = MODE_MESSAGE, [']' ... '~'] = MODE_QUOTED | MODE_MESSAGE | MODE_JSON,
};

static size_t put_hex(char *out, unsigned char byte)
{
    out[0] = '\\';
    out[1] = 'x';
    out[2] = hex_digits[byte >> 4];
    out[3] = hex_digits[byte & 15];
    return 4;
}

static size_t put_json_unit(char *out, unsigned int unit)
{
    out[0] = '\\';
    out[1] = 'u';
    for (int i = 0; i < 4; i++) {
        out[2 + i] = hex_digits[(unit >> (12 - 4 * i)) & 15];
    }
    return 6;
}

/* One ASCII byte that is not plain. */
static size_t put_ascii(char *out, unsigned char byte, enum mode mode)
{
    static const char letters[128] = { ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't', ['"'] = '"', ['\\'] = '\\' };
    bool quoting = byte == '"' || byte == '\\';
    if (letters[byte] && (quoting || mode == MODE_JSON)) {
        out[0] = '\\';
        out[1] = letters[byte];
        return 2;
    }
    return mode == MODE_JSON ? put_json_unit(out, byte) : put_hex(out, byte);
}

/* The code unit of a character of two or three bytes that some reader takes for a control or a line's end; else 0. */
static unsigned int dangerous(const unsigned char *bytes, size_t len)
{
    if (len == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0) {
        return bytes[1];
    }
    bool separator = len == 3 && bytes[0] == 0xe2 && bytes[1] == 0x80 && (bytes[2] == 0xa8 || bytes[2] == 0xa9);
    return separator ? 0x2000U + (bytes[2] & 0x3fU) : 0;
}

/* The form of the character at the start of `text`, which is not a plain byte. Returns its length, and how many bytes
 * of the text it stands for. */
static size_t put_special(char *out, casgi_str_t text, enum mode mode, size_t *out_taken)
{
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    size_t len = utf8_char_len(text);
    *out_taken = len ? len : 1;
    if (len == 1) {
        return put_ascii(out, bytes[0], mode);
    }
    if (!len && mode == MODE_JSON) {
        memcpy(out, "\xef\xbf\xbd", 3);
        return 3;
    }
    unsigned int unit = dangerous(bytes, len);
    if (unit && mode == MODE_JSON) {
        return put_json_unit(out, unit);
    }
    if (len && !unit) {
        memcpy(out, text.ptr, len);
        return len;
    }
    size_t size = 0;
    for (size_t i = 0; i < *out_taken; i++) {
        size += put_hex(out + size, bytes[i]);
    }
    return size;
}

static size_t plain_run(casgi_str_t text, enum mode mode)
{
    size_t at = 0;
    while (at < text.len && (plain[(unsigned char)text.ptr[at]] & mode)) {
        at++;
    }
    return at;
}

struct writer {
    char *out;
    size_t at;
    size_t room;      /* for text, without the NUL */
    size_t last_safe; /* the last place that leaves room for dots */
    size_t safe;      /* the last place before it, written so far, where the text may be cut */
};

/* Writes a piece, or of a divisible one as much as there is room for. Whether it was all. */
static bool put(struct writer *writer, const char *piece, size_t size, bool divisible)
{
    size_t fitting = writer->room - writer->at, before = writer->at;
    if (size < fitting) {
        fitting = size;
    } else if (size > fitting && !divisible) {
        return false;
    }
    memcpy(writer->out + before, piece, fitting);
    writer->at += fitting;
    if (writer->at <= writer->last_safe) {
        writer->safe = writer->at;
    } else if (divisible && before < writer->last_safe) {
        writer->safe = writer->last_safe;
    }
    return fitting == size;
}

static bool put_text(struct writer *writer, casgi_str_t text, enum mode mode)
{
    while (text.len) {
        char piece[PIECE_MAX];
        size_t taken = plain_run(text, mode);
        if (taken) {
            if (!put(writer, text.ptr, taken, true)) {
                return false;
            }
        } else if (!put(writer, piece, put_special(piece, text, mode, &taken), false)) {
            return false;
        }
        text.ptr += taken;
        text.len -= taken;
    }
    return true;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

static uint64_t zero_bytes(uint64_t word)
{
    return (word - EACH(1)) & ~word & EACH(0x80);
}

/* Whether each byte of a word is plain in every mode. */
static bool is_plain_word(uint64_t word)
{
    uint64_t odd = (word - EACH(' ')) | word; /* below a blank or above 127: the uppermost bit */
    odd |= zero_bytes(word ^ EACH('"')) | zero_bytes(word ^ EACH('\\')) | zero_bytes(word ^ EACH(0x7f));
    return (odd & EACH(0x80)) == 0;
}

static uint64_t load(const char *bytes, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, bytes, size);
    return word;
}

/* Whether all of it is plain in every mode: nearly every text is. The last word overlaps the one before it. */
static bool is_plain(casgi_str_t text)
{
    if (text.len >= 8) {
        size_t at = 0;
        while (text.len - at > 8 && is_plain_word(load(text.ptr + at, 8))) {
            at += 8;
        }
        return text.len - at <= 8 && is_plain_word(load(text.ptr + text.len - 8, 8));
    }
    if (text.len >= 4) {
        return is_plain_word(load(text.ptr, 4) | load(text.ptr + text.len - 4, 4) << 32);
    }
    const enum mode every = MODE_QUOTED | MODE_MESSAGE | MODE_JSON;
    for (size_t i = 0; i < text.len; i++) {
        if (plain[(unsigned char)text.ptr[i]] != every) {
            return false;
        }
    }
    return true;
}

static size_t escape(char *out, size_t capacity, casgi_str_t text, enum mode mode)
{
    if (!capacity) {
        return 0;
    }
    if (text.len < capacity && is_plain(text)) {
        memcpy(out, text.len ? text.ptr : "", text.len);
        out[text.len] = '\0';
        return text.len;
    }
    struct writer writer = { .out = out, .room = capacity - 1 };
    writer.last_safe = writer.room < 3 ? 0 : writer.room - 3;
    if (!put_text(&writer, text, mode)) {
        size_t dots = writer.room < 3 ? writer.room : 3;
        memcpy(out + writer.safe, "...", dots);
        writer.at = writer.safe + dots;
    }
    out[writer.at] = '\0';
    return writer.at;
}

size_t log_escape(char *out, size_t capacity, casgi_str_t text)
{
    return escape(out, capacity, text, MODE_QUOTED);
}

size_t log_escape_message(char *out, size_t capacity, casgi_str_t text)
{
    return escape(out, capacity, text, MODE_MESSAGE);
}

size_t log_escape_json(char *out, size_t capacity, casgi_str_t text)
{
    return escape(out, capacity, text, MODE_JSON);
}
