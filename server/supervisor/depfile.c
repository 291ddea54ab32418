#include "supervisor/depfile.h"

#include "base/error.h"
#include "casgi/base.h"
#include "supervisor/disk.h"

#include <stdlib.h>
#include <string.h>

enum { DEPFILE_MAX = 1024 * 1024 };

int path_list_add(struct path_list *list, const char *path, size_t length)
{
    char **items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (!items) {
        return CASGI_ENOMEM;
    }
    list->items = items;
    items[list->count] = strndup(path, length);
    if (!items[list->count]) {
        return CASGI_ENOMEM;
    }
    list->count++;
    return 0;
}

void path_list_release(struct path_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
    *list = (struct path_list){ 0 };
}

static bool has(const struct path_list *list, const char *path)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], path) == 0) {
            return true;
        }
    }
    return false;
}

struct reader {
    const char *next;
    const char *end;
};

static size_t left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->next);
}

/* A backslash and the line's end: the rule goes on. */
static size_t continuation(const struct reader *reader)
{
    if (left(reader) >= 2 && memcmp(reader->next, "\\\n", 2) == 0) {
        return 2;
    }
    return left(reader) >= 3 && memcmp(reader->next, "\\\r\n", 3) == 0 ? 3 : 0;
}

/* Skips blanks; false: the rule is over. */
static bool skip_blanks(struct reader *reader)
{
    while (left(reader)) {
        size_t length = continuation(reader);
        if (!length && (*reader->next == ' ' || *reader->next == '\t' || *reader->next == '\r')) {
            length = 1;
        }
        if (!length) {
            return *reader->next != '\n';
        }
        reader->next += length;
    }
    return false;
}

/* One word, unescaped in place of `word`; it is never longer than it was. */
static size_t read_word(struct reader *reader, char *word)
{
    size_t length = 0;
    while (left(reader) && !strchr(" \t\r\n", *reader->next) && !continuation(reader)) {
        char c = *reader->next++;
        if (c == '\\' && left(reader) && strchr(" \t#\\:", *reader->next)) {
            c = *reader->next++;
        } else if (c == '$' && left(reader) && *reader->next == '$') {
            reader->next++;
        }
        word[length++] = c;
    }
    word[length] = '\0';
    return length;
}

int depfile_parse(const char *text, size_t size, struct path_list *out)
{
    struct reader reader = { text, text + size };
    struct path_list list = { 0 };
    bool past_target = false;
    if (memchr(text, '\0', size)) {
        return CASGI_EINVAL;
    }
    char *word = malloc(size + 1);
    int rc = word ? 0 : CASGI_ENOMEM;
    while (!rc && skip_blanks(&reader)) {
        size_t length = read_word(&reader, word);
        if (!past_target) {
            past_target = length && word[length - 1] == ':';
        } else if (!has(&list, word)) {
            rc = path_list_add(&list, word, length);
        }
    }
    free(word);
    if (!rc && !past_target) {
        rc = CASGI_EINVAL;
    }
    if (rc) {
        path_list_release(&list);
        return rc;
    }
    *out = list;
    return 0;
}

int depfile_read(const char *path, struct path_list *out)
{
    char *text;
    size_t size;
    int rc = disk_read(path, DEPFILE_MAX, &text, &size);
    if (!rc) {
        rc = depfile_parse(text, size, out);
        free(text);
    }
    return rc;
}
