/* What other threads want of the loop, and what other parts of this room keep in it. */
#include "runtime/internal.h"

#include <stdlib.h>

int inbox_new(uv_async_t *async, struct inbox **out_inbox)
{
    struct inbox *inbox = calloc(1, sizeof(*inbox));
    if (!inbox) {
        return CASGI_ENOMEM;
    }
    if (pthread_mutex_init(&inbox->mutex, NULL /* attributes */)) {
        free(inbox);
        return CASGI_ENOMEM;
    }
    inbox->refs = 1;
    inbox->async = async;
    *out_inbox = inbox;
    return 0;
}

struct inbox *inbox_ref(struct inbox *inbox)
{
    atomic_fetch_add_explicit(&inbox->refs, 1, memory_order_relaxed);
    return inbox;
}

void inbox_unref(struct inbox *inbox)
{
    if (atomic_fetch_sub_explicit(&inbox->refs, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_destroy(&inbox->mutex);
        free(inbox);
    }
}

/* The async is sent under the mutex: it must not be closed between. */
bool inbox_post(struct inbox *inbox, struct loop_post *post)
{
    pthread_mutex_lock(&inbox->mutex);
    bool open = inbox->async != NULL;
    if (open) {
        bool first = !inbox->first;
        post->next = inbox->first;
        inbox->first = post;
        if (first) {
            (void)uv_async_send(inbox->async);
        }
    }
    pthread_mutex_unlock(&inbox->mutex);
    return open;
}

static struct loop_post *take_all(struct inbox *inbox, bool close)
{
    pthread_mutex_lock(&inbox->mutex);
    struct loop_post *newest = inbox->first;
    inbox->first = NULL;
    if (close) {
        inbox->async = NULL;
    }
    pthread_mutex_unlock(&inbox->mutex);
    return newest;
}

/* They lie newest first; turned round, they keep their order. */
static void run_posts(struct loop_post *newest)
{
    struct loop_post *oldest = NULL;
    while (newest) {
        struct loop_post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct loop_post *next = oldest->next;
        oldest->fn(oldest);
        oldest = next;
    }
}

void inbox_drain(struct inbox *inbox)
{
    run_posts(take_all(inbox, false));
}

void inbox_close(struct inbox *inbox)
{
    run_posts(take_all(inbox, true));
    inbox_unref(inbox);
}

void loop_post(struct loop *loop, struct loop_post *post)
{
    (void)inbox_post(loop->inbox, post);
}

/* ---- parts ---- */

void *loop_part(struct loop *loop, enum loop_part part)
{
    return loop->parts[part].data;
}

void loop_set_part(struct loop *loop, enum loop_part part, void *data, void (*free_data)(void *data))
{
    loop->parts[part] = (struct loop_part_slot){ data, free_data, ++loop->part_count };
}

void parts_release(struct loop *loop)
{
    for (unsigned order = loop->part_count; order; order--) {
        for (size_t i = 0; i < LOOP_PARTS; i++) {
            struct loop_part_slot *slot = &loop->parts[i];
            if (slot->order == order && slot->free_data) {
                slot->free_data(slot->data);
            }
        }
    }
}
