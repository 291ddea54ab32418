#include "supervisor/words.h"

#include "casgi/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wordexp.h>

/* Owns `word`. */
static void add_owned(struct words *words, char *word)
{
    char **items = word ? realloc(words->items, (words->count + 2) * sizeof(*items)) : NULL;
    if (!items) {
        free(word);
        words->failed = words->failed ? words->failed : CASGI_ENOMEM;
        return;
    }
    words->items = items;
    items[words->count++] = word;
    items[words->count] = NULL;
}

void words_add(struct words *words, const char *word)
{
    add_owned(words, strdup(word));
}

void words_addf(struct words *words, const char *format, ...)
{
    char *word;
    va_list args;
    va_start(args, format);
    if (vasprintf(&word, format, args) < 0) {
        word = NULL;
    }
    va_end(args);
    add_owned(words, word);
}

void words_split(struct words *words, const char *text)
{
    wordexp_t parts;
    if (!text) {
        return;
    }
    int rc = wordexp(text, &parts, WRDE_NOCMD);
    if (rc) {
        words->failed = words->failed ? words->failed : rc == WRDE_NOSPACE ? CASGI_ENOMEM : CASGI_EINVAL;
        return;
    }
    for (size_t i = 0; i < parts.we_wordc; i++) {
        words_add(words, parts.we_wordv[i]);
    }
    wordfree(&parts);
}

void words_release(struct words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        free(words->items[i]);
    }
    free(words->items);
    *words = (struct words){ 0 };
}
