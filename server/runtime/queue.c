/* The queue. Either nobody waits, or getters do and it is empty, or putters do and it is full. */
#include "runtime/sync.h"
#include "runtime/turn.h"

/* What casgi_queue_t holds. */
struct queue {
    size_t count;
    size_t capacity;
    size_t first;
    void **slots;
    uintptr_t closed;
    struct list getters;
    struct list putters;
};

_Static_assert(sizeof(struct queue) <= sizeof(casgi_queue_t), "it fits into its place");

static struct queue *queue_of(casgi_queue_t *place)
{
    return (struct queue *)(void *)place;
}

int queue_init(casgi_queue_t *place, void **slots, size_t capacity)
{
    if (!loop_of_thread) {
        return CASGI_EWRONGTHREAD;
    }
    if (!slots && capacity) {
        return CASGI_EINVAL;
    }
    *place = (casgi_queue_t){ .words = { 0 } };
    queue_of(place)->slots = slots;
    queue_of(place)->capacity = capacity;
    return 0;
}

static void push(struct queue *queue, void *item)
{
    size_t at = queue->first + queue->count++;
    queue->slots[at < queue->capacity ? at : at - queue->capacity] = item;
}

static void *pop(struct queue *queue)
{
    void *item = queue->slots[queue->first];
    queue->first = queue->first + 1 < queue->capacity ? queue->first + 1 : 0;
    queue->count--;
    return item;
}

int queue_try_put(casgi_queue_t *place, void *item)
{
    struct queue *queue = queue_of(place);
    struct turn *getter;
    if (!loop_of_thread) {
        return CASGI_EWRONGTHREAD;
    }
    if (queue->closed) {
        return CASGI_ECLOSED;
    }
    getter = turn_serve(&queue->getters, 0);
    if (getter) {
        getter->item = item;
    } else if (queue->count < queue->capacity) {
        push(queue, item);
    } else {
        return CASGI_EAGAIN;
    }
    return 0;
}

int queue_put(casgi_queue_t *place, void *item)
{
    struct task *self = task_running();
    struct turn turn = { .item = item };
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = task_enter(self);
    rc = rc ? rc : queue_try_put(place, item);
    return rc == CASGI_EAGAIN ? turn_wait(&queue_of(place)->putters, &turn, self, TASK_WAIT_QUEUE) : rc;
}

/* A place has become free: who waits longest to put has put. */
static void take_from_putter(struct queue *queue)
{
    const struct turn *putter = turn_serve(&queue->putters, 0);
    if (putter) {
        push(queue, putter->item);
    }
}

int queue_try_get(casgi_queue_t *place, void **out_item)
{
    struct queue *queue = queue_of(place);
    if (!loop_of_thread) {
        return CASGI_EWRONGTHREAD;
    }
    if (queue->count) {
        *out_item = pop(queue);
        take_from_putter(queue);
        return 0;
    }
    const struct turn *putter = turn_serve(&queue->putters, 0); /* without room of its own */
    if (putter) {
        *out_item = putter->item;
        return 0;
    }
    return queue->closed ? CASGI_ECLOSED : CASGI_EAGAIN;
}

int queue_get(casgi_queue_t *place, void **out_item)
{
    struct task *self = task_running();
    struct turn turn = { .item = NULL };
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = task_enter(self);
    rc = rc ? rc : queue_try_get(place, out_item);
    if (rc != CASGI_EAGAIN) {
        return rc;
    }
    rc = turn_wait(&queue_of(place)->getters, &turn, self, TASK_WAIT_QUEUE);
    if (!rc) {
        *out_item = turn.item;
    }
    return rc;
}

int queue_close(casgi_queue_t *place)
{
    struct queue *queue = queue_of(place);
    if (!loop_of_thread) {
        return CASGI_EWRONGTHREAD;
    }
    queue->closed = 1;
    while (turn_serve(&queue->putters, CASGI_ECLOSED) || turn_serve(&queue->getters, CASGI_ECLOSED)) {
    }
    return 0;
}
