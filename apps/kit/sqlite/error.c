#include "sqlite/impl.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>

int kit_sqlite_fail(casgi_sqlite_error_t *error, int code, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        error->code = code;
        error->number = 0;
        (void)vsnprintf(error->message, sizeof(error->message), format, args);
        va_end(args);
    }
    return code;
}

/* An interrupted or blocked statement was cancelled if its task was. */
static int code_or(int otherwise)
{
    int rc = casgi_thread_check();
    return rc == CASGI_ECANCELED || rc == CASGI_ETIMEDOUT ? rc : otherwise;
}

static int code_of(int number)
{
    switch (number & 0xff) {
    case SQLITE_NOMEM:
        return CASGI_ENOMEM;
    case SQLITE_INTERRUPT:
        return code_or(CASGI_ECANCELED);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return code_or(CASGI_EBUSY);
    case SQLITE_CANTOPEN:
        return CASGI_ENOENT;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
        return CASGI_EACCES;
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return CASGI_EIO;
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
        return CASGI_EINVAL;
    default:
        return CASGI_EFAILED;
    }
}

int kit_sqlite_fail_number(casgi_sqlite_error_t *error, struct sqlite3 *handle, int number)
{
    int extended = handle ? sqlite3_extended_errcode(handle) : number;
    const char *text = handle && (extended & 0xff) == (number & 0xff) ? sqlite3_errmsg(handle) : sqlite3_errstr(number);
    int code = kit_sqlite_fail(error, code_of(number), "%s", text);
    if (error) {
        error->number = (extended & 0xff) == (number & 0xff) ? extended : number;
    }
    return code;
}
