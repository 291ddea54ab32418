/* What the lessons share: each piece of work notes when it began and ended, in which order among all others, and on
 * which thread; the answer says so. */
#pragma once

#include <casgi/casgi.h>

struct span {
    unsigned begin; /* the order counter when it began ... */
    unsigned end;   /* ... and when it ended: one that others begin before has overlapped with them */
    uint64_t begun; /* microseconds, casgi_now */
    uint64_t ended;
    long thread;
};

/* [any] */
void span_begin(struct span *span);
void span_end(struct span *span);

/* [task] [thread] Answers with the spans as JSON. */
int spans_send(casgi_send_t *send, const struct span *spans, size_t count);

/* A lesson is an endpoint. */
typedef int lesson(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send);

lesson waits_in_turn, waits_together;           /* waits.c */
lesson one_wait;                                /* thousand.c */
lesson sleep_on_the_loop, sleep_on_a_thread;    /* sleeping.c */
lesson compute_on_the_loop, compute_on_threads; /* computing.c */
lesson look_up;                                 /* plain.c; the module's applications "app" and "plain" */
