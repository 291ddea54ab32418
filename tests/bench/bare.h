/* The least a thread's round trip could be: a condition variable to the thread and an eventfd back, waited for by epoll
 * as a loop does. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct bare {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool work;
    bool over;
    int event;
    int epoll;
};

static inline void *bare_main(void *arg)
{
    struct bare *bare = arg;
    const uint64_t one = 1;
    for (bool over = false; !over;) {
        pthread_mutex_lock(&bare->mutex);
        while (!bare->work && !bare->over) {
            pthread_cond_wait(&bare->wake, &bare->mutex);
        }
        bare->work = false;
        over = bare->over;
        pthread_mutex_unlock(&bare->mutex);
        if (write(bare->event, &one, sizeof(one)) < 0) {
            break;
        }
    }
    return NULL;
}

static inline void bare_signal(struct bare *bare, bool over)
{
    pthread_mutex_lock(&bare->mutex);
    bare->work = true;
    bare->over = over;
    pthread_mutex_unlock(&bare->mutex);
    pthread_cond_signal(&bare->wake);
}

/* 0, or -1 if there is no thread or descriptor. */
static inline int bare_start(struct bare *bare)
{
    struct epoll_event event = { .events = EPOLLIN };
    *bare = (struct bare){ .mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
    bare->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    bare->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(bare->epoll, EPOLL_CTL_ADD, bare->event, &event) ||
        pthread_create(&bare->thread, NULL, bare_main, bare)) {
        (void)close(bare->event);
        (void)close(bare->epoll);
        return -1;
    }
    return 0;
}

/* One round trip; 0 or -1. */
static inline int bare_round(struct bare *bare)
{
    struct epoll_event event;
    uint64_t count;
    bare_signal(bare, false);
    return epoll_wait(bare->epoll, &event, 1, -1) == 1 && read(bare->event, &count, sizeof(count)) > 0 ? 0 : -1;
}

static inline void bare_stop(struct bare *bare)
{
    bare_signal(bare, true);
    (void)pthread_join(bare->thread, NULL);
    (void)close(bare->event);
    (void)close(bare->epoll);
}
