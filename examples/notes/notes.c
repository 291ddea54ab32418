/* A small JSON API on SQLite: casgi notes.c --libs "$(pkg-config --libs casgi-kit)" -- notes.db
 *
 *   GET /      all notes        POST /    {"text": "..."}  makes one        GET /N, DELETE /N   one of them
 *
 * Each statement runs on a thread while its handler waits; without a file name the notes are in memory. */
#include <casgi/kit/json.h>
#include <casgi/kit/sqlite.h>

#include <stdlib.h>
#include <string.h>

struct notes {
    casgi_app_t base;
    casgi_sqlite_t *db;
};

#define SCHEMA "create table if not exists notes (id integer primary key, text text not null)"
#define BODY_LIMIT 16384

static int answer(casgi_send_t *send, int status, cJSON *document)
{
    int rc = casgi_json_respond(send, status, document);
    cJSON_Delete(document);
    return rc;
}

static int refuse(casgi_send_t *send, const casgi_sqlite_error_t *error)
{
    casgi_log(CASGI_LOG_ERROR, "the database: %s", error->message);
    return casgi_json_refuse(send, 500, "the notes cannot be read or written");
}

static cJSON *note_of(const casgi_sqlite_result_t *result, size_t row)
{
    cJSON *note = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(note, "id", (double)casgi_sqlite_value(result, row, 0)->integer);
    (void)cJSON_AddStringToObject(note, "text", casgi_sqlite_value(result, row, 1)->text.ptr);
    return note;
}

static int list(struct notes *notes, casgi_send_t *send)
{
    casgi_sqlite_error_t error;
    casgi_sqlite_result_t *result;
    if (casgi_sqlite_query(notes->db, "select id, text from notes order by id", NULL, 0, &result, &error)) {
        return refuse(send, &error);
    }
    cJSON *all = cJSON_CreateArray();
    for (size_t i = 0; i < casgi_sqlite_rows(result); i++) {
        (void)cJSON_AddItemToArray(all, note_of(result, i));
    }
    casgi_sqlite_result_free(result);
    return answer(send, 200, all);
}

static int make(struct notes *notes, casgi_receive_t *receive, casgi_send_t *send)
{
    const cJSON *document;
    casgi_json_error_t wrong;
    casgi_sqlite_error_t error;
    casgi_sqlite_result_t *result;
    int rc = casgi_json_receive(receive, BODY_LIMIT, &document, &wrong);
    if (rc == CASGI_EINVAL || rc == CASGI_ETOOBIG) {
        return casgi_json_refuse(send, rc == CASGI_EINVAL ? 400 : 413, wrong.message);
    }
    if (rc) {
        return rc;
    }
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(document, "text");
    if (!cJSON_IsString(text)) {
        return casgi_json_refuse(send, 422, "a note is {\"text\": \"...\"}");
    }
    casgi_sqlite_value_t value = casgi_sqlite_text(text->valuestring);
    if (casgi_sqlite_execute(notes->db, "insert into notes (text) values (?) returning id, text", &value, 1, &result,
                             &error)) {
        return refuse(send, &error);
    }
    cJSON *note = note_of(result, 0);
    casgi_sqlite_result_free(result);
    return answer(send, 201, note);
}

static int one(struct notes *notes, const casgi_scope_t *scope, casgi_send_t *send)
{
    bool remove = strcmp(scope->method.ptr, "DELETE") == 0;
    const char *sql =
        remove ? "delete from notes where id = ? returning id, text" : "select id, text from notes where id = ?";
    casgi_sqlite_value_t id = casgi_sqlite_int(strtoll(scope->path.ptr + 1, NULL, 10));
    casgi_sqlite_error_t error;
    casgi_sqlite_result_t *result;
    if (remove ? casgi_sqlite_execute(notes->db, sql, &id, 1, &result, &error)
               : casgi_sqlite_query(notes->db, sql, &id, 1, &result, &error)) {
        return refuse(send, &error);
    }
    cJSON *note = casgi_sqlite_rows(result) ? note_of(result, 0) : NULL;
    casgi_sqlite_result_free(result);
    return note ? answer(send, 200, note) : casgi_json_refuse(send, 404, "there is no such note");
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct notes *notes = (struct notes *)self;
    if (strcmp(scope->path.ptr, "/") != 0) {
        return one(notes, scope, send);
    }
    return strcmp(scope->method.ptr, "POST") == 0 ? make(notes, receive, send) : list(notes, send);
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    struct notes *notes = calloc(1, sizeof(*notes));
    casgi_sqlite_options_t options = { .path = argc > 1 ? argv[1] : NULL, .setup = SCHEMA };
    casgi_sqlite_error_t error = { .message = "out of memory" };
    (void)host;
    if (!notes || casgi_sqlite_new(&options, &notes->db, &error)) {
        (void)casgi_error_set(out_error, CASGI_EFAILED, "%s", error.message);
        free(notes);
        return NULL;
    }
    notes->base.call = handle;
    return &notes->base;
}

static void destroy(casgi_app_t *app)
{
    casgi_sqlite_free(((struct notes *)app)->db);
    free(app);
}

static const casgi_app_record_t record = { "app", "notes in SQLite", create, destroy, CASGI_APP_HTTP, 0, { 0 } };
CASGI_MODULE("notes", "1.0", &record);
