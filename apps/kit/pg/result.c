#include "pg/impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void casgi_pg_result_free(casgi_pg_result_t *result)
{
    PQclear(result);
}

int casgi_pg_rows(const casgi_pg_result_t *result)
{
    return PQntuples(result);
}

int casgi_pg_columns(const casgi_pg_result_t *result)
{
    return PQnfields(result);
}

int casgi_pg_column(const casgi_pg_result_t *result, const char *name)
{
    for (int i = 0, count = PQnfields(result); i < count; i++) { /* PQfnumber would fold the case of names */
        if (strcmp(PQfname(result, i), name) == 0) {
            return i;
        }
    }
    return -1;
}

const char *casgi_pg_column_name(const casgi_pg_result_t *result, int column)
{
    return column >= 0 && column < PQnfields(result) ? PQfname(result, column) : NULL;
}

casgi_str_t casgi_pg_text(const casgi_pg_result_t *result, int row, int column)
{
    casgi_str_t text = { NULL, 0 };
    if (row >= 0 && row < PQntuples(result) && column >= 0 && column < PQnfields(result) &&
        !PQgetisnull(result, row, column)) {
        text.ptr = PQgetvalue(result, row, column);
        text.len = (size_t)PQgetlength(result, row, column);
    }
    return text;
}

const char *casgi_pg_value(const casgi_pg_result_t *result, int row, int column)
{
    return casgi_pg_text(result, row, column).ptr;
}

int casgi_pg_int(const casgi_pg_result_t *result, int row, int column, int64_t *out_value)
{
    const char *text = casgi_pg_value(result, row, column);
    char *end;
    if (!text) {
        return CASGI_ENOENT;
    }
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end) {
        return CASGI_EINVAL;
    }
    *out_value = value;
    return 0;
}

int casgi_pg_double(const casgi_pg_result_t *result, int row, int column, double *out_value)
{
    const char *text = casgi_pg_value(result, row, column);
    char *end;
    if (!text) {
        return CASGI_ENOENT;
    }
    double value = strtod(text, &end);
    if (end == text || *end) {
        return CASGI_EINVAL;
    }
    *out_value = value;
    return 0;
}

int casgi_pg_bool(const casgi_pg_result_t *result, int row, int column, bool *out_value)
{
    const char *text = casgi_pg_value(result, row, column);
    if (!text) {
        return CASGI_ENOENT;
    }
    if (strcmp(text, "t") != 0 && strcmp(text, "f") != 0) {
        return CASGI_EINVAL;
    }
    *out_value = *text == 't';
    return 0;
}

int64_t casgi_pg_affected(const casgi_pg_result_t *result)
{
    return result ? strtoll(PQcmdTuples((PGresult *)(uintptr_t)result), NULL /* end */, 10) : 0;
}
