/* supervisor/hash.h: names for contents: 128 bits of FNV-1a. Not against an attacker: who can write the sources can
 * write the program. */
#pragma once

#include <stddef.h>

struct hash {
    unsigned __int128 state;
};

#define HASH_TEXT_SIZE 33 /* in hexadecimal, with the NUL */

void hash_init(struct hash *hash);
void hash_add(struct hash *hash, const void *data, size_t size);

/* The text and its end, so that "a","bc" differs from "ab","c". NULL counts as a text of its own. */
void hash_add_text(struct hash *hash, const char *text);

/* What the file holds. The system's code, if it cannot be read. */
int hash_add_file(struct hash *hash, const char *path) __attribute__((warn_unused_result));

void hash_text(const struct hash *hash, char out[HASH_TEXT_SIZE]);
