/* Texts to trees. cJSON does the reading; before it, what would do harm is found, and its nodes are put into the task's
 * arena. */
#include "casgi/kit/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- cJSON's memory ----
 *
 * cJSON allocates by hooks that are the process's. Ours hand out a piece of the arena while their thread is between the
 * begin and the end of one parse, which does not suspend, and are malloc and free at every other time: who else uses
 * cJSON does not notice. */

static _Thread_local struct {
    char *next; /* NULL: not now */
    size_t left;
    bool failed; /* the arena had nothing left */
} pool;

static void *allocate(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (!pool.next) {
        return malloc(size);
    }
    if (size > pool.left) {
        void *memory = casgi_alloc(size);
        pool.failed |= !memory;
        return memory;
    }
    pool.left -= size;
    return (pool.next += size) - size;
}

static void give_back(void *memory)
{
    if (!pool.next) {
        free(memory);
    }
}

/* When the library is loaded, so that nobody is inside cJSON yet. */
__attribute__((constructor)) static void begin(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){ allocate, give_back });
}

/* Others may use cJSON after this module is gone. */
__attribute__((destructor)) static void end(void)
{
    cJSON_InitHooks(NULL);
}

static void delete_tree(void *tree)
{
    cJSON_Delete(tree);
}

/* *out_tree: NULL if it is no JSON. */
static int read_tree(const char *text, size_t size, const char **out_end, cJSON **out_tree)
{
    size_t room = size * 6 + 512; /* mostly enough: a node is 64 bytes, and there is one for some 15 of text */
    char *memory = casgi_alloc(room);
    if (!memory) {
        return CASGI_ENOMEM;
    }
    pool.next = memory;
    pool.left = room;
    *out_tree = cJSON_ParseWithLengthOpts(text, size + 1, out_end, true);
    bool elsewhere = pool.next == memory;
    bool short_of_memory = pool.failed;
    pool.next = NULL;
    pool.failed = false;
    if (*out_tree && elsewhere) { /* a module loaded later has set its own hooks; ours are not set again, as it may be
                                   * inside cJSON on another thread */
        int rc = casgi_defer(delete_tree, *out_tree);
        if (rc) {
            cJSON_Delete(*out_tree);
            *out_tree = NULL;
        }
        return rc;
    }
    return !*out_tree && short_of_memory ? CASGI_ENOMEM : 0;
}

/* ---- what cJSON does not see ---- */

static size_t count(const char *text, size_t size, char wanted)
{
    size_t found = 0;
    const char *end = text + size;
    for (const char *at = text; (at = memchr(at, wanted, (size_t)(end - at))); at++) {
        found++;
    }
    return found;
}

/* Byte by byte: where the text is nested too deeply or has a NUL, also as an escape; `size`: nowhere. */
static size_t find_offence_closely(const char *text, size_t size)
{
    size_t depth = 0, i = 0;
    bool quoted = false;
    for (; i < size && text[i] != '\0'; i++) {
        char c = text[i];
        if (!quoted && (c == '[' || c == '{') && ++depth > CASGI_JSON_NESTING_LIMIT) {
            break;
        }
        depth -= !quoted && (c == ']' || c == '}') && depth > 0;
        quoted = quoted != (c == '"');
        if (quoted && c == '\\' && i + 1 < size && text[i + 1] != '\0') {
            if (size - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0) {
                break;
            }
            i++;
        }
    }
    return i;
}

static size_t find_offence(const char *text, size_t size)
{
    bool harmless = !memchr(text, '\0', size) && !memchr(text, '\\', size) &&
                    count(text, size, '[') + count(text, size, '{') <= CASGI_JSON_NESTING_LIMIT;
    return harmless ? size : find_offence_closely(text, size); /* nearly always */
}

/* ---- the sentence ---- */

static int refuse(const char *what, const char *text, size_t byte, casgi_json_error_t *out_error)
{
    if (out_error) {
        const char *line = memrchr(text, '\n', byte);
        *out_error = (casgi_json_error_t){ .code = CASGI_EINVAL, .byte = byte };
        out_error->line = (uint32_t)count(text, byte, '\n') + 1;
        out_error->column = (uint32_t)(byte - (line ? (size_t)(line + 1 - text) : 0)) + 1;
        (void)snprintf(out_error->message, sizeof(out_error->message), "%s at line %u, column %u", what,
                       out_error->line, out_error->column);
    }
    return CASGI_EINVAL;
}

int casgi_json_parse(const char *text, size_t size, const cJSON **out_document, casgi_json_error_t *out_error)
{
    const char *end = text;
    cJSON *tree = NULL;
    *out_document = NULL;
    size_t offence = find_offence(text, size);
    if (offence < size) {
        bool deep = text[offence] == '[' || text[offence] == '{';
        return refuse(deep ? "nested too deeply" : "a NUL character", text, offence, out_error);
    }
    int rc = read_tree(text, size, &end, &tree);
    if (rc == 0 && !tree) {
        rc = refuse("not valid JSON", text, (size_t)(end - text), out_error);
    } else if (rc && out_error) {
        *out_error = (casgi_json_error_t){ .code = rc, .message = "memory is short" };
    }
    *out_document = tree;
    return rc;
}
