/* Exchanges kept for reuse. */
#include "exchange/private.h"

#include "base/poison.h"

#include <stdlib.h>

enum { KEEP = 256 };

void exchange_host_init(struct exchange_host *host)
{
    list_init(&host->active);
    host->running = 0;
    host->pools = NULL;
}

/* What is the same for all exchanges of the host. */
static void look_around(const struct exchange_host *host, struct exchange_pools *pools)
{
    pools->default_lengths = response_default_lengths(host);
    for (const struct exchange_observer *o = host->observers; o; o = o->next) {
        pools->exact_times |= o->exact_times;
        pools->tells_begin |= o->on_begin != NULL;
        pools->tells_event |= o->on_event != NULL;
    }
}

static struct exchange_pools *pools_of(struct exchange_host *host)
{
    if (!host->pools) {
        host->pools = calloc(1, sizeof(*host->pools));
        if (host->pools) {
            look_around(host, host->pools);
        }
    }
    return host->pools;
}

/* All of it but the node, by which it hangs in the pool. */
static void *behind_node(struct exchange_whole *whole)
{
    return &whole->ex.node + 1;
}

enum { BEHIND_NODE = sizeof(struct exchange_whole) - sizeof(struct list) };

/* What stays as it is from one exchange to the next. */
static void init_whole(struct exchange_whole *whole)
{
    struct exchange_private *priv = &whole->priv;
    whole->ex.priv = priv;
    scope_init(&whole->ex);
    priv->receive.call = exchange_receive;
    priv->send.call = exchange_send;
    list_init(&priv->turns);
    list_init(&priv->late.node);
    priv->late.fn = answer_on_late;
}

/* The last one given back; there is one. */
static inline struct exchange_whole *pop(struct exchange_pools *pools)
{
    struct exchange_whole *whole = LIST_ENTRY(pools->free, struct exchange_whole, ex.node);
    pools->free = whole->ex.node.next;
    pools->count--;
    memory_unpoison(behind_node(whole), BEHIND_NODE);
    return whole;
}

static struct exchange_whole *__attribute__((noinline)) whole_new(struct exchange_host *host)
{
    struct exchange_pools *pools = pools_of(host);
    struct exchange_whole *whole = pools ? malloc(sizeof(*whole)) : NULL;
    if (whole) {
        init_whole(whole);
    }
    return whole;
}

struct exchange_whole *whole_take(struct exchange_host *host)
{
    struct exchange_pools *pools = host->pools;
    return pools && pools->free ? pop(pools) : whole_new(host);
}

void whole_give(struct exchange_host *host, struct exchange_whole *whole)
{
    struct exchange_pools *pools = host->pools;
    if (pools->count >= KEEP) {
        free(whole);
        return;
    }
    memory_poison(behind_node(whole), BEHIND_NODE);
    whole->ex.node.next = pools->free;
    pools->free = &whole->ex.node;
    pools->count++;
}

void exchange_host_release(struct exchange_host *host)
{
    struct exchange_pools *pools = host->pools;
    if (!pools) {
        return;
    }
    while (pools->free) {
        free(pop(pools));
    }
    chunks_release(pools);
    free(pools);
    host->pools = NULL;
}
