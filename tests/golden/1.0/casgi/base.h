/* casgi/base.h: the words every other header uses: text, error codes, header fields.
 *
 * Part of the casgi ABI, major 1. Sizes and numbers here never change within the major. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CASGI_ABI_MAJOR 1
#define CASGI_ABI_MINOR 0

#ifdef __cplusplus
#define CASGI_EXTERN_C_BEGIN extern "C" {
#define CASGI_EXTERN_C_END }
#define CASGI_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define CASGI_EXTERN_C_BEGIN
#define CASGI_EXTERN_C_END
#define CASGI_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

#define CASGI_EXPORT __attribute__((visibility("default")))
#define CASGI_PRINTF(text_index, first) __attribute__((format(printf, text_index, first)))

CASGI_EXTERN_C_BEGIN

/* Bytes with a length. Text the server hands out is also NUL-terminated one past `len`, and so is what middleware puts
 * into a scope or into an event it passes inward; an event to send need not be. `ptr` NULL means "none", which differs
 * from "". */
typedef struct casgi_str_s {
    const char *ptr;
    size_t len;
} casgi_str_t;

/* A header field (RFC 9110, section 5). Names are lower case in both directions. The reserved words are zero: make one
 * with CASGI_HEADER or casgi_header, or zero it first. */
typedef struct casgi_header_s {
    casgi_str_t name;
    casgi_str_t value;
    uintptr_t reserved[2];
} casgi_header_t;

/* A string literal as casgi_str_t, and a header field of two string literals, as initialisers. */
/* clang-format off */
#define CASGI_STR(literal) { "" literal, sizeof(literal) - 1 }
#define CASGI_HEADER(name, value) { CASGI_STR(name), CASGI_STR(value), { 0, 0 } }
/* clang-format on */

/* Every error code: name, number, text. Functions return 0, or one of these, or CASGI_ESYSTEM(errno).
 * Numbers are never reused. */
#define CASGI_ERROR_MAP(X)                                      \
    X(EDISCONNECTED, -1, "the client has gone")                 \
    X(ECANCELED, -2, "the task was cancelled")                  \
    X(ETIMEDOUT, -3, "the deadline has passed")                 \
    X(EPROTO, -4, "this event is not allowed now")              \
    X(EINVAL, -5, "invalid argument")                           \
    X(ENOMEM, -6, "out of memory")                              \
    X(EBUSY, -7, "another call is already waiting here")        \
    X(EWRONGTHREAD, -8, "this function may not be called here") \
    X(ENOTSUP, -9, "not supported by this server")              \
    X(ENOENT, -10, "no such file or name")                      \
    X(EACCES, -11, "permission denied")                         \
    X(EIO, -12, "input/output error")                           \
    X(EAGAIN, -13, "not ready yet")                             \
    X(ECLOSED, -14, "closed")                                   \
    X(ETOOBIG, -15, "larger than the limit")                    \
    X(EEXIST, -16, "exists already")                            \
    X(EFAILED, -17, "the application reported a failure")       \
    X(EEOF, -18, "end of the stream")                           \
    X(EREFUSED, -19, "connection refused")                      \
    X(EABI, -20, "built for another version of the ABI")

enum casgi_error_code {
    CASGI_OK = 0,
#define CASGI_ERROR_ENUM(name, number, text) CASGI_##name = (number),
    CASGI_ERROR_MAP(CASGI_ERROR_ENUM)
#undef CASGI_ERROR_ENUM
};

/* Errors of the operating system that have no code of their own: CASGI_ESYSTEM(ENOSPC) and so on. */
#define CASGI_ESYSTEM(number) (-1000 - (number))

/* [any] The text of a code; never NULL, static. */
static inline const char *casgi_strerror(int code)
{
    switch (code) {
    case 0:
        return "success";
#define CASGI_ERROR_TEXT(name, number, text) \
    case (number):                           \
        return text;
        CASGI_ERROR_MAP(CASGI_ERROR_TEXT)
#undef CASGI_ERROR_TEXT
    default:
        return code <= -1000 ? "system error" : "unknown error";
    }
}

/* A failure with a sentence for a person: what was wrong, where, what to do. */
typedef struct casgi_error {
    int32_t code;
    uint32_t reserved;
    char message[1016]; /* NUL-terminated */
} casgi_error_t;

/* [any] Fills *error with a code and a sentence, printf-like; what is too long is cut. Returns `code`. NULL: returns
 * only. */
CASGI_PRINTF(3, 4)
static inline int casgi_error_set(casgi_error_t *error, int code, const char *format, ...)
{
    if (error) {
        __builtin_va_list args;
        __builtin_va_start(args, format);
        error->code = code;
        error->reserved = 0;
        error->message[0] = '\0';
        (void)__builtin_vsnprintf(error->message, sizeof(error->message), format, args);
        __builtin_va_end(args);
    }
    return code;
}

/* [any] A NUL-terminated string as casgi_str_t; borrowed, as long as `text` lives. NULL gives {NULL, 0}. */
static inline casgi_str_t casgi_str(const char *text)
{
    casgi_str_t s = { text, text ? __builtin_strlen(text) : 0 };
    return s;
}

/* [any] Whether two strings have the same bytes. */
static inline bool casgi_str_equal(casgi_str_t a, casgi_str_t b)
{
    return a.len == b.len && (a.len == 0 || __builtin_memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* [any] A header field from two NUL-terminated strings; borrows both. */
static inline casgi_header_t casgi_header(const char *name, const char *value)
{
    casgi_header_t h = { casgi_str(name), casgi_str(value), { 0, 0 } };
    return h;
}

CASGI_STATIC_ASSERT(sizeof(void *) == 8 && sizeof(bool) == 1, "casgi runs on 64-bit systems");
CASGI_STATIC_ASSERT(sizeof(casgi_str_t) == 16, "casgi_str_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_header_t) == 48, "casgi_header_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_error_t) == 1024, "casgi_error_t is frozen");
CASGI_STATIC_ASSERT(CASGI_EABI == -20 && CASGI_EDISCONNECTED == -1, "error numbers are frozen");

CASGI_EXTERN_C_END
