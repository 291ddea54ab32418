/* common/cache.h: prepared statements of one connection by their SQL text, the least recently used going first. [loop],
 * or on the thread that has the connection. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What a text stands for. */
union kit_cached {
    void *pointer;
    uint64_t number;
};

struct kit_cache_entry {
    struct kit_cache_entry *next; /* in its bucket */
    struct kit_cache_entry *newer;
    struct kit_cache_entry *older;
    uint64_t hash;
    size_t length;
    union kit_cached value;
    char text[];
};

struct kit_cache {
    struct kit_cache_entry **buckets; /* NULL: nothing was added yet */
    size_t bucket_mask;
    struct kit_cache_entry *newest;
    struct kit_cache_entry *oldest;
    size_t count;
    size_t limit;
};

/* An empty cache of at most `limit` texts. */
void kit_cache_init(struct kit_cache *cache, size_t limit);

/* Frees it; the values are the caller's: take them out before. */
void kit_cache_release(struct kit_cache *cache);

/* The entry of `text`, the newest from now on; NULL: there is none. Borrowed until it is removed. */
struct kit_cache_entry *kit_cache_find(struct kit_cache *cache, const char *text);

/* Adds a text (copied) that is not there. The caller has made room (kit_cache_surplus). NULL: out of memory. */
struct kit_cache_entry *kit_cache_add(struct kit_cache *cache, const char *text, union kit_cached value)
    __attribute__((warn_unused_result));

/* The entry that has to go before another is added; NULL: there is room. */
struct kit_cache_entry *kit_cache_surplus(const struct kit_cache *cache);

/* Any entry; NULL: it is empty. */
struct kit_cache_entry *kit_cache_any(const struct kit_cache *cache);

/* Takes it out and frees it. */
void kit_cache_remove(struct kit_cache *cache, struct kit_cache_entry *entry);
