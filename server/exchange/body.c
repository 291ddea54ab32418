/* The inbound body: a queue of chunks between the driver, which fills them, and receive, which hands them out. */
#include "exchange/private.h"

#include "base/poison.h"

#include <stdlib.h>
#include <string.h>

enum { SMALL_KEEP = 256, LARGE_KEEP = 16, WORTH_A_RECV = 16384 };

static enum chunk_class class_of(size_t capacity)
{
    return capacity <= CHUNK_SMALL_SIZE ? CHUNK_SMALL : CHUNK_LARGE;
}

struct chunk *chunk_take(struct exchange_host *host, size_t size)
{
    enum chunk_class class = class_of(size);
    size_t capacity = class == CHUNK_SMALL ? CHUNK_SMALL_SIZE : CHUNK_LARGE_SIZE;
    struct chunk *chunk = host->pools->chunks[class];
    if (chunk) {
        host->pools->chunks[class] = chunk->next;
        host->pools->chunk_counts[class]--;
        memory_unpoison(chunk->data, capacity);
    } else {
        chunk = malloc(sizeof(*chunk) + capacity + 1);
        if (!chunk) {
            return NULL;
        }
        chunk->capacity = capacity;
    }
    chunk->next = NULL;
    chunk->start = chunk->end = 0;
    return chunk;
}

void chunk_give(struct exchange_host *host, struct chunk *chunk)
{
    struct exchange_pools *pools = host->pools;
    enum chunk_class class = class_of(chunk->capacity);
    if (pools->chunk_counts[class] >= (class == CHUNK_SMALL ? SMALL_KEEP : LARGE_KEEP)) {
        free(chunk);
        return;
    }
    memory_poison(chunk->data, chunk->capacity);
    chunk->next = pools->chunks[class];
    pools->chunks[class] = chunk;
    pools->chunk_counts[class]++;
}

void chunks_release(struct exchange_pools *pools)
{
    for (int class = 0; class < CHUNK_CLASSES; class ++) {
        while (pools->chunks[class]) {
            struct chunk *chunk = pools->chunks[class];
            pools->chunks[class] = chunk->next;
            memory_unpoison(chunk->data, chunk->capacity);
            free(chunk);
        }
        pools->chunk_counts[class] = 0;
    }
    free(pools->input);
    pools->input = NULL;
}

size_t inbound_drop(struct exchange *ex)
{
    struct inbound *in = &ex->priv->in;
    size_t dropped = in->buffered;
    while (in->first) {
        struct chunk *chunk = in->first;
        in->first = chunk->next;
        chunk_give(ex->host, chunk);
    }
    in->last = NULL;
    in->buffered = 0;
    return dropped;
}

void inbound_release(struct exchange *ex)
{
    (void)inbound_drop(ex);
    if (ex->priv->in.lent) {
        chunk_give(ex->host, ex->priv->in.lent);
        ex->priv->in.lent = NULL;
    }
}

/* Whether nobody will receive what arrives. */
static bool is_unwanted(const struct exchange_private *priv)
{
    return priv->in.state == INBOUND_GONE || priv->out.state >= RESPONSE_COMPLETE;
}

static void append(struct inbound *in, struct chunk *chunk)
{
    if (in->last) {
        in->last->next = chunk;
    } else {
        in->first = chunk;
    }
    in->last = chunk;
}

/* A new chunk at the end of the queue. NULL: out of memory. */
static struct chunk *chunk_append(struct exchange *ex, size_t size)
{
    struct chunk *chunk = chunk_take(ex->host, size);
    if (chunk) {
        append(&ex->priv->in, chunk);
    }
    return chunk;
}

/* The room in the last chunk. */
static size_t room_at_end(const struct inbound *in)
{
    return in->last ? in->last->capacity - in->last->end : 0;
}

char *exchange_body_reserve(struct exchange *ex, size_t wanted, size_t *out_size)
{
    if (exchange_body_full(ex)) {
        return NULL;
    }
    struct inbound *in = &ex->priv->in;
    size_t room = room_at_end(in);
    bool enough = room && (room >= wanted || room >= WORTH_A_RECV || !in->last->end);
    struct chunk *chunk = enough ? in->last : chunk_append(ex, wanted);
    if (!chunk) {
        return NULL;
    }
    *out_size = chunk->capacity - chunk->end;
    return chunk->data + chunk->end;
}

/* Nothing came: an empty chunk is not kept waiting. */
static void forget_empty(struct exchange *ex)
{
    if (!ex->priv->in.buffered) {
        (void)inbound_drop(ex);
    }
}

void exchange_body_commit(struct exchange *ex, size_t size)
{
    struct inbound *in = &ex->priv->in;
    ex->record.bytes_in += size;
    if (!size || is_unwanted(ex->priv)) {
        forget_empty(ex);
        return;
    }
    in->last->end += size;
    in->buffered += size;
    inbound_wake(ex->priv);
}

static bool is_too_big(const struct exchange *ex, size_t size)
{
    uint64_t limit = ex->host->body_limit;
    return limit && (ex->record.bytes_in > limit || size > limit - ex->record.bytes_in);
}

int exchange_body(struct exchange *ex, const void *data, size_t size)
{
    const char *from = data;
    if (is_too_big(ex, size)) {
        return CASGI_ETOOBIG;
    }
    if (is_unwanted(ex->priv)) {
        ex->record.bytes_in += size;
        return 0;
    }
    while (size) {
        struct chunk *chunk = room_at_end(&ex->priv->in) ? ex->priv->in.last : chunk_append(ex, size);
        if (!chunk) {
            return CASGI_ENOMEM;
        }
        size_t room = chunk->capacity - chunk->end;
        size_t taken = size < room ? size : room;
        memcpy(chunk->data + chunk->end, from, taken);
        exchange_body_commit(ex, taken);
        from += taken;
        size -= taken;
    }
    return 0;
}

char *exchange_input(struct exchange_host *host, size_t *out_size)
{
    struct exchange_pools *pools = host->pools;
    if (!pools->input) {
        pools->input = chunk_take(host, CHUNK_LARGE_SIZE);
    }
    *out_size = pools->input ? pools->input->capacity : 0;
    return pools->input ? pools->input->data : NULL;
}

/* Whether the bytes may stay in the host's input buffer, and copying them would need one as large. */
static bool is_adoptable(const struct exchange *ex, const char *data, size_t size)
{
    const struct chunk *input = ex->host->pools->input;
    uintptr_t at = (uintptr_t)data;
    return input && class_of(size) == CHUNK_LARGE && at >= (uintptr_t)input->data &&
           at + size <= (uintptr_t)input->data + input->capacity && !ex->priv->in.first && !is_unwanted(ex->priv) &&
           !is_too_big(ex, size);
}

int exchange_body_adopt(struct exchange *ex, const char *data, size_t size)
{
    if (!is_adoptable(ex, data, size)) {
        return exchange_body(ex, data, size);
    }
    struct chunk *chunk = ex->host->pools->input;
    ex->host->pools->input = NULL;
    chunk->start = chunk->end = (size_t)(data - chunk->data);
    append(&ex->priv->in, chunk);
    exchange_body_commit(ex, size);
    return 0;
}

bool exchange_body_full(const struct exchange *ex)
{
    size_t high_water = ex->host->body_high_water;
    return ex->priv->in.buffered >= (high_water ? high_water : BODY_HIGH_WATER);
}

void exchange_body_end(struct exchange *ex)
{
    if (ex->priv->in.state == INBOUND_OPEN) {
        ex->priv->in.state = INBOUND_COMPLETE;
        inbound_wake(ex->priv);
    }
}

bool exchange_waits_for_body(const struct exchange *ex)
{
    return ex->priv->in.receiver && ex->priv->in.state == INBOUND_OPEN;
}
