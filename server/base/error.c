#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SYSTEM_FIRST = -1000 };

const char *error_text(int code)
{
    if (code > SYSTEM_FIRST) {
        return casgi_strerror(code);
    }
    const char *text = strerrordesc_np(SYSTEM_FIRST - code);
    return text ? text : "unknown system error";
}

const char *error_name(int code)
{
    switch (code) {
    case 0:
        return "OK";
#define ERROR_NAME(name, number, text) \
    case (number):                     \
        return #name;
        CASGI_ERROR_MAP(ERROR_NAME)
#undef ERROR_NAME
    default: {
        const char *name = code <= SYSTEM_FIRST ? strerrorname_np(SYSTEM_FIRST - code) : NULL;
        return name ? name : "EUNKNOWN";
    }
    }
}

int error_from_errno(int number)
{
    static const struct {
        int number;
        int code;
    } ours[] = {
        { EAGAIN, CASGI_EAGAIN },
        { ENOMEM, CASGI_ENOMEM },
        { EPIPE, CASGI_EDISCONNECTED },
        { ECONNRESET, CASGI_EDISCONNECTED },
        { ECONNABORTED, CASGI_EDISCONNECTED },
        { ECONNREFUSED, CASGI_EREFUSED },
        { ETIMEDOUT, CASGI_ETIMEDOUT },
        { ECANCELED, CASGI_ECANCELED },
        { ENOENT, CASGI_ENOENT },
        { EACCES, CASGI_EACCES },
        { EPERM, CASGI_EACCES },
        { EINVAL, CASGI_EINVAL },
        { EBUSY, CASGI_EBUSY },
        { EEXIST, CASGI_EEXIST },
        { EIO, CASGI_EIO },
        { ENOTSUP, CASGI_ENOTSUP },
        { ENOSYS, CASGI_ENOTSUP },
    };
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (ours[i].number == number) {
            return ours[i].code;
        }
    }
    return CASGI_ESYSTEM(number > 0 ? number : 0);
}

int error_set(casgi_error_t *error, int code, const char *format, ...)
{
    if (!error) {
        return code;
    }
    va_list args;
    va_start(args, format);
    error->code = code;
    error->reserved = 0;
    (void)vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    return code;
}
