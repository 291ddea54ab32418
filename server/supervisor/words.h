/* supervisor/words.h: a program's argument list, as it grows. */
#pragma once

#include <stddef.h>

/* NULL-terminated, each word owned. Zeroed is a valid empty list. `failed`: something could not be added. */
struct words {
    char **items;
    size_t count;
    int failed; /* 0, or the first code */
};

void words_add(struct words *words, const char *word);
void words_addf(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds each word of a text that is written as for the shell: quotes, backslashes and $VARIABLES are understood,
 * commands are not (CASGI_EINVAL). NULL adds nothing. */
void words_split(struct words *words, const char *text);

void words_release(struct words *words);
