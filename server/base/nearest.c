#include "base/nearest.h"

#include <string.h>

enum { LONGEST = 64 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment, three rows at a time. */
size_t word_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > LONGEST || b_len > LONGEST) {
        return a_len > b_len ? a_len : b_len;
    }
    unsigned char rows[3][LONGEST + 1];
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = (unsigned char)j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        unsigned char *row = rows[i % 3];
        const unsigned char *above = rows[(i + 2) % 3], *above_that = rows[(i + 1) % 3];
        row[0] = (unsigned char)i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = least(above[j - 1] + (size_t)(a[i - 1] != b[j - 1]), least(above[j], row[j - 1]) + 1UL);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = least(best, above_that[j - 2] + 1UL);
            }
            row[j] = (unsigned char)best;
        }
    }
    return rows[a_len % 3][b_len];
}

bool word_is_near(const char *word, const char *name)
{
    size_t len = strlen(word), allowed = len / 3 < 1 ? 1 : least(len / 3, 3);
    return (len >= 3 && strncmp(word, name, len) == 0) || word_distance(word, name) <= allowed;
}
