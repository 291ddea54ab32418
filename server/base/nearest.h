/* base/nearest.h: the word somebody probably meant. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* How many letters must be inserted, left out, replaced or swapped with their neighbour to make `b` of `a`. Words of
 * more than 64 bytes are as far apart as the longer one is long. */
size_t word_distance(const char *a, const char *b);

/* Whether `word` is probably a slip of the keyboard for `name`: a letter in three may be wrong, at least one, at most
 * three; or it is the beginning of it, of three letters at least. */
bool word_is_near(const char *word, const char *name);
