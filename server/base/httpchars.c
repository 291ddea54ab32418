#include "base/httpchars.h"

enum {
    V = HTTP_FIELD | HTTP_VISIBLE | HTTP_TARGET, /* visible, nothing more */
    N = HTTP_FIELD | HTTP_VISIBLE | HTTP_TCHAR,  /* "#" */
    T = V | HTTP_TCHAR,
    I = V | HTTP_ID,
    A = V | HTTP_TCHAR | HTTP_ID,
};

const unsigned char http_chars[256] = {
    ['\t'] = HTTP_FIELD,
    [' '] = HTTP_FIELD,
    ['!'] = T,
    ['"'] = V,
    ['#'] = N,
    ['$' ... '\''] = T,
    ['(' ... ')'] = V,
    ['*'] = T,
    ['+'] = A,
    [','] = V,
    ['-' ... '.'] = A,
    ['/'] = I,
    ['0' ... '9'] = A,
    [':'] = I,
    [';' ... '<'] = V,
    ['='] = I,
    ['>' ... '?'] = V,
    ['@'] = I,
    ['A' ... 'Z'] = A,
    ['[' ... ']'] = V,
    ['^'] = T,
    ['_'] = A,
    ['`'] = T,
    ['a' ... 'z'] = A,
    ['{'] = V,
    ['|'] = T,
    ['}'] = V,
    ['~'] = T,
    [0x80 ... 0xff] = HTTP_FIELD,
};

const unsigned char http_token_lower[256] = {
    ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*', ['+'] = '+',
    ['-'] = '-', ['.'] = '.', ['^'] = '^', ['_'] = '_', ['`'] = '`', ['|'] = '|',   ['~'] = '~', ['0'] = '0',
    ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6',   ['7'] = '7', ['8'] = '8',
    ['9'] = '9', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e',   ['F'] = 'f', ['G'] = 'g',
    ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l', ['M'] = 'm',   ['N'] = 'n', ['O'] = 'o',
    ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u',   ['V'] = 'v', ['W'] = 'w',
    ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c',   ['d'] = 'd', ['e'] = 'e',
    ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k',   ['l'] = 'l', ['m'] = 'm',
    ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's',   ['t'] = 't', ['u'] = 'u',
    ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z',
};

bool http_chars_all(casgi_str_t text, int classes)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!http_char_is(text.ptr[i], classes)) {
            return false;
        }
    }
    return true;
}

bool http_is_token(casgi_str_t text)
{
    return text.len && http_chars_all(text, HTTP_TCHAR);
}

bool http_is_field_value(casgi_str_t text)
{
    return http_chars_all(text, HTTP_FIELD);
}

bool http_lower_name(char *out, casgi_str_t name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char lower = http_token_lower[(unsigned char)name.ptr[i]];
        if (!lower) {
            return false;
        }
        out[i] = (char)lower;
    }
    return name.len > 0;
}
