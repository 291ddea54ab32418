#include "common/cache.h"

#include <stdlib.h>
#include <string.h>

void kit_cache_init(struct kit_cache *cache, size_t limit)
{
    *cache = (struct kit_cache){ .limit = limit };
}

void kit_cache_release(struct kit_cache *cache)
{
    while (cache->newest) {
        kit_cache_remove(cache, cache->newest);
    }
    free(cache->buckets);
    cache->buckets = NULL;
}

/* FNV-1a */
static uint64_t hash_of(const char *text, size_t length)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
    }
    return hash;
}

static struct kit_cache_entry **bucket_of(const struct kit_cache *cache, uint64_t hash)
{
    return &cache->buckets[hash & cache->bucket_mask];
}

static void unlink_age(struct kit_cache *cache, struct kit_cache_entry *entry)
{
    *(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void link_newest(struct kit_cache *cache, struct kit_cache_entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

struct kit_cache_entry *kit_cache_find(struct kit_cache *cache, const char *text)
{
    if (!cache->buckets) {
        return NULL;
    }
    size_t length = strlen(text);
    uint64_t hash = hash_of(text, length);
    struct kit_cache_entry *entry = *bucket_of(cache, hash);
    while (entry && (entry->hash != hash || entry->length != length || memcmp(entry->text, text, length) != 0)) {
        entry = entry->next;
    }
    if (entry && entry != cache->newest) {
        unlink_age(cache, entry);
        link_newest(cache, entry);
    }
    return entry;
}

/* As many buckets as a full cache has texts, rounded up to a power of two. */
static int make_buckets(struct kit_cache *cache)
{
    size_t count = 8;
    while (count < cache->limit) {
        count *= 2;
    }
    cache->buckets = calloc(count, sizeof(struct kit_cache_entry *));
    cache->bucket_mask = count - 1;
    return cache->buckets ? 0 : -1;
}

struct kit_cache_entry *kit_cache_add(struct kit_cache *cache, const char *text, union kit_cached value)
{
    size_t length = strlen(text);
    if (!cache->buckets && make_buckets(cache)) {
        return NULL;
    }
    struct kit_cache_entry *entry = malloc(sizeof(*entry) + length + 1);
    if (!entry) {
        return NULL;
    }
    entry->hash = hash_of(text, length);
    entry->length = length;
    entry->value = value;
    memcpy(entry->text, text, length + 1);
    struct kit_cache_entry **bucket = bucket_of(cache, entry->hash);
    entry->next = *bucket;
    *bucket = entry;
    link_newest(cache, entry);
    cache->count++;
    return entry;
}

struct kit_cache_entry *kit_cache_surplus(const struct kit_cache *cache)
{
    return cache->count >= cache->limit ? cache->oldest : NULL;
}

struct kit_cache_entry *kit_cache_any(const struct kit_cache *cache)
{
    return cache->newest;
}

void kit_cache_remove(struct kit_cache *cache, struct kit_cache_entry *entry)
{
    struct kit_cache_entry **link = bucket_of(cache, entry->hash);
    while (*link != entry) {
        link = &(*link)->next;
    }
    *link = entry->next;
    unlink_age(cache, entry);
    cache->count--;
    free(entry);
}
