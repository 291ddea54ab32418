/* A result owns copies: SQLite's own are gone with the next step. Its values grow in one array, its texts lie in blocks
 * that never move. */
#include "sqlite/impl.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 4096 };

struct block {
    struct block *next;
    size_t used;
    size_t size;
    char data[];
};

struct casgi_sqlite_result {
    size_t columns;
    size_t rows;
    size_t capacity; /* rows there is room for */
    casgi_sqlite_value_t *values;
    const char **names;
    struct block *blocks;
    size_t bytes; /* allocated */
    size_t limit;
    int64_t changes;
    int64_t last_rowid;
};

/* ---- reading ---- */

size_t casgi_sqlite_rows(const casgi_sqlite_result_t *result)
{
    return result ? result->rows : 0;
}

size_t casgi_sqlite_columns(const casgi_sqlite_result_t *result)
{
    return result ? result->columns : 0;
}

const char *casgi_sqlite_column_name(const casgi_sqlite_result_t *result, size_t column)
{
    return result && column < result->columns ? result->names[column] : NULL;
}

const casgi_sqlite_value_t *casgi_sqlite_value(const casgi_sqlite_result_t *result, size_t row, size_t column)
{
    static const casgi_sqlite_value_t null = { CASGI_SQLITE_NULL, 0, { 0 } };
    if (!result || row >= result->rows || column >= result->columns) {
        return &null;
    }
    return &result->values[row * result->columns + column];
}

int64_t casgi_sqlite_changes(const casgi_sqlite_result_t *result)
{
    return result ? result->changes : 0;
}

int64_t casgi_sqlite_last_rowid(const casgi_sqlite_result_t *result)
{
    return result ? result->last_rowid : 0;
}

void casgi_sqlite_result_free(casgi_sqlite_result_t *result)
{
    if (!result) {
        return;
    }
    for (struct block *block = result->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(result->values);
    free(result->names);
    free(result);
}

/* ---- gathering ---- */

static bool take(casgi_sqlite_result_t *result, size_t size)
{
    if (size > result->limit - result->bytes) {
        return false;
    }
    result->bytes += size;
    return true;
}

/* SQLite's code. */
static int keep(casgi_sqlite_result_t *result, const void *data, size_t size, const char **out_copy)
{
    struct block *block = result->blocks;
    if (!block || block->size - block->used <= size) {
        size_t room = size + 1 > BLOCK_SIZE ? size + 1 : BLOCK_SIZE;
        if (!take(result, room)) {
            return SQLITE_TOOBIG;
        }
        block = malloc(sizeof(*block) + room);
        if (!block) {
            return SQLITE_NOMEM;
        }
        *block = (struct block){ .next = result->blocks, .size = room };
        result->blocks = block;
    }
    char *copy = block->data + block->used;
    if (size) {
        memcpy(copy, data, size);
    }
    copy[size] = '\0';
    block->used += size + 1;
    *out_copy = copy;
    return SQLITE_OK;
}

static int keep_names(casgi_sqlite_result_t *result, sqlite3_stmt *statement)
{
    int rc = SQLITE_OK;
    result->names = calloc(result->columns ? result->columns : 1, sizeof(*result->names));
    if (!result->names) {
        return SQLITE_NOMEM;
    }
    for (size_t i = 0; rc == SQLITE_OK && i < result->columns; i++) {
        const char *name = sqlite3_column_name(statement, (int)i);
        rc = name ? keep(result, name, strlen(name), &result->names[i]) : SQLITE_NOMEM;
    }
    return rc;
}

static int keep_value(casgi_sqlite_result_t *result, sqlite3_stmt *statement, int column, casgi_sqlite_value_t *out)
{
    *out = casgi_sqlite_null();
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
        *out = casgi_sqlite_int(sqlite3_column_int64(statement, column));
        return SQLITE_OK;
    case SQLITE_FLOAT:
        *out = casgi_sqlite_double(sqlite3_column_double(statement, column));
        return SQLITE_OK;
    case SQLITE_TEXT:
        out->type = CASGI_SQLITE_TEXT;
        break;
    case SQLITE_BLOB:
        out->type = CASGI_SQLITE_BLOB;
        break;
    default:
        return SQLITE_OK;
    }
    const void *data = sqlite3_column_blob(statement, column);
    out->text.len = (size_t)sqlite3_column_bytes(statement, column);
    return data || !out->text.len ? keep(result, data, out->text.len, &out->text.ptr) : SQLITE_NOMEM;
}

static int make_room(casgi_sqlite_result_t *result)
{
    if (result->rows < result->capacity) {
        return SQLITE_OK;
    }
    size_t more = result->capacity ? result->capacity : 8;
    size_t row = result->columns * sizeof(*result->values);
    if (!take(result, more * row)) {
        return SQLITE_TOOBIG;
    }
    casgi_sqlite_value_t *values = realloc(result->values, (result->capacity + more) * row);
    if (!values) {
        return SQLITE_NOMEM;
    }
    result->values = values;
    result->capacity += more;
    return SQLITE_OK;
}

static int keep_row(casgi_sqlite_result_t *result, sqlite3_stmt *statement)
{
    int rc = make_room(result);
    for (size_t i = 0; rc == SQLITE_OK && i < result->columns; i++) {
        rc = keep_value(result, statement, (int)i, &result->values[result->rows * result->columns + i]);
    }
    result->rows += rc == SQLITE_OK;
    return rc;
}

static int step_all(sqlite3_stmt *statement, casgi_sqlite_result_t *result)
{
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        rc = result ? keep_row(result, statement) : SQLITE_OK;
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int kit_sqlite_collect(struct sqlite3_stmt *statement, size_t limit, casgi_sqlite_result_t **out_result)
{
    if (!out_result) {
        return step_all(statement, NULL /* result */);
    }
    casgi_sqlite_result_t *result = calloc(1, sizeof(*result));
    if (!result) {
        return SQLITE_NOMEM;
    }
    sqlite3 *handle = sqlite3_db_handle(statement);
    result->limit = limit;
    result->columns = (size_t)sqlite3_column_count(statement);
    int rc = keep_names(result, statement);
    rc = rc == SQLITE_OK ? step_all(statement, result) : rc;
    if (rc != SQLITE_OK) {
        casgi_sqlite_result_free(result);
        return rc;
    }
    if (!sqlite3_stmt_readonly(statement)) {
        result->changes = sqlite3_changes64(handle);
        result->last_rowid = sqlite3_last_insert_rowid(handle);
    }
    *out_result = result;
    return SQLITE_OK;
}
