/* casgi/kit/json.h: JSON in and out of handlers, as cJSON's trees.
 *
 *     const cJSON *document;
 *     casgi_json_error_t error;
 *     int rc = casgi_json_receive(receive, 1 << 20, &document, &error);
 *     if (rc == CASGI_EINVAL || rc == CASGI_ETOOBIG) {
 *         return casgi_json_refuse(send, rc == CASGI_EINVAL ? 400 : 413, error.message);
 *     }
 *     ... cJSON_GetObjectItemCaseSensitive(document, "name") ...
 *     return rc ? rc : casgi_json_respond(send, 200, document);
 *
 * A tree read here lies in the task's arena and is gone with the request: nothing frees it, and it is const. To change
 * one, take a cJSON_Duplicate. Trees of one's own are made with cJSON's functions and given to cJSON_Delete.
 *
 * What is JSON is cJSON's judgement (it takes more than RFC 8259 allows, such as 01 or a raw line feed in a string),
 * less what a tree of C strings cannot hold: a NUL byte or \u0000, and nesting deeper than 128, as cJSON recurses and a
 * handler's stack is small. A number is a double.
 *
 * Needs libcjson; link with what `pkg-config --libs casgi-kit` says. */
#pragma once

#include <casgi/casgi.h>

#include <cjson/cJSON.h>

CASGI_EXTERN_C_BEGIN

/* How deep arrays and objects may be nested, in a text read and in a tree printed. */
#define CASGI_JSON_NESTING_LIMIT 128

/* What is wrong with a text, and where. */
typedef struct casgi_json_error {
    int32_t code;    /* what the call returned */
    uint32_t line;   /* of the offence, from 1; 0: it has no place */
    uint32_t column; /* in bytes, from 1 */
    uint32_t reserved;
    size_t byte;       /* from 0 */
    char message[104]; /* a sentence, without characters that JSON would escape */
} casgi_json_error_t;

/* [task] [thread] Reads a whole text of `size` bytes, followed by a NUL (as casgi_receive_body leaves it): one value,
 * white space around it. *out_document lives as long as the task's arena. CASGI_EINVAL: it is not JSON, or not
 * such as a tree holds; *out_error (NULL allowed) says what and where. CASGI_ENOMEM. */
int casgi_json_parse(const char *text, size_t size, const cJSON **out_document, casgi_json_error_t *out_error);

/* [task] Receives the request's body, at most `limit` bytes, and reads it. Beside casgi_json_parse's codes:
 * CASGI_ETOOBIG, said in *out_error; CASGI_EDISCONNECTED, CASGI_ECANCELED, CASGI_ETIMEDOUT. */
int casgi_json_receive(casgi_receive_t *receive, size_t limit, const cJSON **out_document,
                       casgi_json_error_t *out_error);

/* [task] [thread] The tree as text without white space, as cJSON_PrintUnformatted gives it, but in the task's arena,
 * several times faster, and with numbers that read as the same double again (one that is not finite is null).
 * NUL-terminated; the length is without it. CASGI_EINVAL: nested deeper than the limit, or of no type that JSON has;
 * CASGI_ENOMEM. */
int casgi_json_print(const cJSON *value, casgi_str_t *out_text);

/* [task] Answers with the tree, as application/json. Borrows it until it returns. Codes of casgi_json_print and of
 * casgi_send. */
int casgi_json_respond(casgi_send_t *send, int status, const cJSON *value);

/* [task] Answers {"detail": detail}, as application/json. Borrows `detail` until it returns. Codes of
 * casgi_json_print and of casgi_send. */
int casgi_json_refuse(casgi_send_t *send, int status, const char *detail);

CASGI_EXTERN_C_END
