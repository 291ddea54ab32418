/* What epoll gives back with an event says which way it was registered: the address of a struct fd_watch, or (top bit)
 * number and generation of a struct fd_entry. An entry's registration is one-shot and stays, disarmed, after it fired:
 * the next wait arms it again, or finds that the number means another descriptor by now. If that other one's
 * predecessor lives on somewhere (a copy in a child process) and fires, its generation is not known any more. */
#include "runtime/fdwatch.h"

#include "base/error.h"
#include "runtime/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    BUCKETS = 256,
    BATCH = 128,     /* events taken at once */
    SPARE_MAX = 64,  /* entries kept for reuse */
    STREAK_MAX = 16, /* operations without waiting before others get a turn */
};

#define ENTRY_MARK (UINT64_C(1) << 63)
#define GENERATION_MASK 0x7fffffffu

struct fd_poller {
    struct loop *loop;
    uv_poll_t poll; /* of the epoll descriptor */
    int epoll;
    uint32_t generation;
    size_t waiting; /* waits; while there are any, the loop is alive */
    struct list buckets[BUCKETS];
    struct list spare;
    size_t spare_count;
};

/* A descriptor of somebody else's, while tasks wait for it. */
struct fd_entry {
    struct list node; /* in a bucket, or spare */
    struct list waiters;
    int fd;
    uint32_t generation;
};

/* A task that waits for somebody else's; in its frame. */
struct entry_waiter {
    struct list node;
    struct task *task;
    uint32_t events;
    uint32_t fired; /* what it is ready for */
};

static const struct {
    uint32_t event;
    uint32_t system;
} event_map[] = {
    { CASGI_FD_READABLE, EPOLLIN },
    { CASGI_FD_WRITABLE, EPOLLOUT },
    { CASGI_FD_PRIORITY, EPOLLPRI },
};

static uint32_t system_events(uint32_t events)
{
    uint32_t system = 0;
    for (size_t i = 0; i < sizeof(event_map) / sizeof(event_map[0]); i++) {
        system |= events & event_map[i].event ? event_map[i].system : 0;
    }
    return system;
}

static uint32_t events_of(uint32_t system)
{
    uint32_t events = 0;
    for (size_t i = 0; i < sizeof(event_map) / sizeof(event_map[0]); i++) {
        events |= system & event_map[i].system ? event_map[i].event : 0;
    }
    if (system & (EPOLLERR | EPOLLHUP)) {
        events |= CASGI_FD_READABLE | CASGI_FD_WRITABLE | CASGI_FD_PRIORITY | CASGI_FD_HANGUP;
    }
    return events;
}

/* ---- entries ---- */

static struct list *bucket_of(struct fd_poller *poller, int fd)
{
    return &poller->buckets[(unsigned)fd % BUCKETS];
}

static struct fd_entry *entry_find(struct fd_poller *poller, int fd)
{
    struct list *bucket = bucket_of(poller, fd);
    for (struct list *node = bucket->next; node != bucket; node = node->next) {
        struct fd_entry *entry = LIST_ENTRY(node, struct fd_entry, node);
        if (entry->fd == fd) {
            return entry;
        }
    }
    return NULL;
}

static struct fd_entry *entry_new(struct fd_poller *poller, int fd)
{
    struct list *node = list_pop(&poller->spare);
    struct fd_entry *entry = node ? LIST_ENTRY(node, struct fd_entry, node) : malloc(sizeof(*entry));
    if (!entry) {
        return NULL;
    }
    poller->spare_count -= node != NULL;
    poller->generation = (poller->generation + 1) & GENERATION_MASK;
    *entry = (struct fd_entry){ .fd = fd, .generation = poller->generation };
    list_init(&entry->waiters);
    list_append(bucket_of(poller, fd), &entry->node);
    return entry;
}

static void entry_free(struct fd_poller *poller, struct fd_entry *entry)
{
    list_remove(&entry->node);
    if (poller->spare_count < SPARE_MAX) {
        list_append(&poller->spare, &entry->node);
        poller->spare_count++;
    } else {
        free(entry);
    }
}

static uint32_t entry_events(const struct fd_entry *entry)
{
    uint32_t events = 0;
    for (const struct list *node = entry->waiters.next; node != &entry->waiters; node = node->next) {
        events |= LIST_ENTRY(node, struct entry_waiter, node)->events;
    }
    return events;
}

/* 0 or an errno. */
static int entry_arm(struct fd_poller *poller, struct fd_entry *entry)
{
    struct epoll_event event = {
        .events = system_events(entry_events(entry)) | EPOLLONESHOT,
        .data.u64 = ENTRY_MARK | (uint64_t)entry->generation << 32 | (uint32_t)entry->fd,
    };
    int rc = epoll_ctl(poller->epoll, EPOLL_CTL_MOD, entry->fd, &event);
    if (rc && errno == ENOENT) {
        rc = epoll_ctl(poller->epoll, EPOLL_CTL_ADD, entry->fd, &event);
    }
    return rc ? errno : 0;
}

static void entry_wake(struct fd_entry *entry, uint32_t events)
{
    for (struct list *node = entry->waiters.next, *next; node != &entry->waiters; node = next) {
        struct entry_waiter *waiter = LIST_ENTRY(node, struct entry_waiter, node);
        next = node->next;
        waiter->fired = events & (waiter->events | CASGI_FD_HANGUP);
        if (waiter->fired) {
            list_remove(node);
            task_wake(waiter->task);
        }
    }
}

static void on_entry_event(struct fd_poller *poller, const struct epoll_event *event)
{
    struct fd_entry *entry = entry_find(poller, (int)(uint32_t)event->data.u64);
    if (!entry || entry->generation != ((event->data.u64 >> 32) & GENERATION_MASK)) {
        return;
    }
    entry_wake(entry, events_of(event->events));
    if (!list_empty(&entry->waiters) && entry_arm(poller, entry)) {
        entry_wake(entry, events_of(EPOLLHUP)); /* closed under them */
    }
    if (list_empty(&entry->waiters)) {
        entry_free(poller, entry);
    }
}

/* ---- watches ---- */

static void on_watch_event(struct fd_watch *watch, uint32_t system)
{
    if (system & (EPOLLERR | EPOLLHUP)) {
        watch->ended |= CASGI_FD_READABLE | CASGI_FD_WRITABLE;
    } else if (system & EPOLLRDHUP) {
        watch->ended |= CASGI_FD_READABLE; /* it may still read */
    }
    watch->ready |= events_of(system) | watch->ended;
    for (struct list *node = watch->waiters.next; node != &watch->waiters; node = node->next) {
        struct fd_waiter *waiter = LIST_ENTRY(node, struct fd_waiter, node);
        if (waiter->events & watch->ready) {
            task_wake(waiter->task);
        }
    }
}

/* ---- the poller ---- */

static void on_poll(uv_poll_t *poll, int status, int happened)
{
    struct fd_poller *poller = poll->data;
    struct epoll_event events[BATCH];
    (void)status;
    (void)happened;
    int count = epoll_wait(poller->epoll, events, BATCH, 0 /* do not wait */);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 & ENTRY_MARK) {
            on_entry_event(poller, &events[i]);
        } else {
            on_watch_event(events[i].data.ptr, events[i].events);
        }
    }
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct fd_poller *poller = handle->data;
    (void)close(poller->epoll);
    free(poller);
}

static void poller_free(void *data)
{
    struct fd_poller *poller = data;
    for (struct list *node; (node = list_pop(&poller->spare));) {
        free(LIST_ENTRY(node, struct fd_entry, node));
    }
    uv_close((uv_handle_t *)&poller->poll, on_poll_closed);
}

static int poller_start(struct fd_poller *poller)
{
    poller->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll < 0) {
        return error_from_errno(errno);
    }
    int rc = uv_poll_init(loop_uv(poller->loop), &poller->poll, poller->epoll);
    if (rc) {
        (void)close(poller->epoll);
        return error_from_errno(-rc);
    }
    poller->poll.data = poller;
    (void)uv_poll_start(&poller->poll, UV_READABLE, on_poll);
    uv_unref((uv_handle_t *)&poller->poll);
    return 0;
}

static int poller_of(struct loop *loop, struct fd_poller **out_poller)
{
    struct fd_poller *poller = loop_part(loop, LOOP_PART_FDWATCH);
    if (poller) {
        *out_poller = poller;
        return 0;
    }
    poller = calloc(1, sizeof(*poller));
    if (!poller) {
        return CASGI_ENOMEM;
    }
    poller->loop = loop;
    list_init(&poller->spare);
    for (size_t i = 0; i < BUCKETS; i++) {
        list_init(&poller->buckets[i]);
    }
    int rc = poller_start(poller);
    if (rc) {
        free(poller);
        return rc;
    }
    loop_set_part(loop, LOOP_PART_FDWATCH, poller, poller_free);
    *out_poller = poller;
    return 0;
}

static void wait_begin(struct fd_poller *poller)
{
    if (poller->waiting++ == 0) {
        uv_ref((uv_handle_t *)&poller->poll);
    }
}

static void wait_end(struct fd_poller *poller)
{
    if (--poller->waiting == 0) {
        uv_unref((uv_handle_t *)&poller->poll);
    }
}

/* ---- descriptors of our own ---- */

int fd_watch_open(struct loop *loop, int fd, uint32_t ready, struct fd_watch *watch)
{
    struct fd_poller *poller;
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = watch };
    int rc = poller_of(loop, &poller);
    if (rc) {
        return rc;
    }
    if (epoll_ctl(poller->epoll, EPOLL_CTL_ADD, fd, &event)) {
        return errno == EPERM ? CASGI_EINVAL : error_from_errno(errno);
    }
    *watch = (struct fd_watch){ .poller = poller, .fd = fd, .ready = ready };
    list_init(&watch->waiters);
    return 0;
}

void fd_watch_close(struct fd_watch *watch)
{
    if (watch->fd < 0) {
        return;
    }
    (void)epoll_ctl(watch->poller->epoll, EPOLL_CTL_DEL, watch->fd, NULL /* event */);
    watch->fd = -1;
    for (struct list *node = watch->waiters.next; node != &watch->waiters; node = node->next) {
        task_wake(LIST_ENTRY(node, struct fd_waiter, node)->task);
    }
}

void fd_watch_attach(struct fd_watch *watch, struct fd_waiter *waiter, uint32_t events)
{
    *waiter = (struct fd_waiter){ .watch = watch, .task = task_running(), .events = events };
    list_append(&watch->waiters, &waiter->node);
    wait_begin(watch->poller);
}

void fd_watch_detach(struct fd_waiter *waiter)
{
    list_remove(&waiter->node);
    wait_end(waiter->watch->poller);
}

int fd_watch_wait(struct fd_watch *watch, uint32_t events, enum task_wait why)
{
    struct fd_waiter waiter;
    int rc = 0;
    fd_watch_attach(watch, &waiter, events);
    while (!rc && watch->fd >= 0 && !(watch->ready & events)) {
        watch->streak = 0;
        rc = task_park(why);
    }
    fd_watch_detach(&waiter);
    return watch->fd < 0 ? CASGI_ECLOSED : watch->ready & events ? 0 : rc;
}

void fd_watch_clear(struct fd_watch *watch, uint32_t events)
{
    watch->ready &= ~(events & ~watch->ended);
}

void fd_watch_fair(struct fd_watch *watch)
{
    if (++watch->streak >= STREAK_MAX) {
        watch->streak = 0;
        int rc = task_yield();
        (void)rc; /* a cancellation comes with the next call */
    }
}

/* ---- descriptors of others ---- */

static int wait_fired(struct fd_poller *poller, struct fd_entry *entry, struct entry_waiter *waiter)
{
    int rc = 0;
    wait_begin(poller);
    while (!rc && !waiter->fired) {
        rc = task_park(TASK_WAIT_SOCKET);
    }
    wait_end(poller);
    if (waiter->fired) {
        return 0;
    }
    list_remove(&waiter->node);
    if (list_empty(&entry->waiters)) {
        (void)epoll_ctl(poller->epoll, EPOLL_CTL_DEL, entry->fd, NULL /* event */); /* it may have been closed */
        entry_free(poller, entry);
    }
    return rc;
}

static int entry_wait(struct fd_poller *poller, struct fd_entry *entry, struct entry_waiter *waiter)
{
    list_append(&entry->waiters, &waiter->node);
    int number = entry_arm(poller, entry);
    if (!number) {
        return wait_fired(poller, entry, waiter);
    }
    list_remove(&waiter->node);
    if (list_empty(&entry->waiters)) {
        entry_free(poller, entry);
    }
    if (number != EPERM) {
        return error_from_errno(number);
    }
    waiter->fired = waiter->events; /* a file: always ready, as poll(2) says */
    return task_yield();
}

int fd_wait(int fd, uint32_t events, uint32_t *out_events)
{
    struct entry_waiter waiter = { .task = task_running(), .events = events };
    struct fd_poller *poller;
    if (!waiter.task) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = system_events(events) ? task_enter(waiter.task) : CASGI_EINVAL;
    rc = rc ? rc : poller_of(waiter.task->loop, &poller);
    if (rc) {
        return rc;
    }
    struct fd_entry *entry = entry_find(poller, fd);
    if (entry && entry_events(entry) & events) {
        return CASGI_EBUSY;
    }
    entry = entry ? entry : entry_new(poller, fd);
    rc = entry ? entry_wait(poller, entry, &waiter) : CASGI_ENOMEM;
    if (!rc && out_events) {
        *out_events = waiter.fired;
    }
    return rc;
}

const casgi_fd_1_t fd_interface = { .wait = fd_wait };
