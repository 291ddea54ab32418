#include "pg/impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int kit_pg_fail(casgi_pg_error_t *error, int code, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        *error = (casgi_pg_error_t){ .code = code };
        (void)vsnprintf(error->message, sizeof(error->message), format, args);
        va_end(args);
    }
    return code;
}

/* libpq's messages are lines; ours is one. */
static void join_lines(char *text, size_t size, const char *lines)
{
    size_t used = 0;
    while (*lines && used + 1 < size) {
        if (*lines == '\n' || *lines == '\t') {
            lines += strspn(lines, "\n\t ");
            text[used] = ' ';
            used += *lines != '\0';
        } else {
            text[used++] = *lines++;
        }
    }
    text[used] = '\0';
}

int kit_pg_fail_handle(casgi_pg_error_t *error, int code, const PGconn *handle)
{
    if (error) {
        *error = (casgi_pg_error_t){ .code = code };
        join_lines(error->message, sizeof(error->message), PQerrorMessage(handle));
    }
    return code;
}

static void copy_field(char *text, size_t size, const PGresult *result, int field)
{
    const char *value = PQresultErrorField(result, field);
    (void)snprintf(text, size, "%s", value ? value : "");
}

int kit_pg_fail_result(casgi_pg_error_t *error, int code, const PGresult *result)
{
    if (error) {
        *error = (casgi_pg_error_t){ .code = code };
        copy_field(error->sqlstate, sizeof(error->sqlstate), result, PG_DIAG_SQLSTATE);
        copy_field(error->constraint, sizeof(error->constraint), result, PG_DIAG_CONSTRAINT_NAME);
        copy_field(error->message, sizeof(error->message), result, PG_DIAG_MESSAGE_PRIMARY);
        copy_field(error->detail, sizeof(error->detail), result, PG_DIAG_MESSAGE_DETAIL);
        if (!error->message[0]) {
            join_lines(error->message, sizeof(error->message), PQresultErrorMessage(result));
        }
    }
    return code;
}
