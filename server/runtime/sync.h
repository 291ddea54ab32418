/* runtime/sync.h: lock, semaphore, flag, queue: the table behind "casgi.sync/1". */
#pragma once

#include "casgi/sync.h"

extern const casgi_sync_1_t sync_interface;

/* The queue's calls in it; queue.c. */
int queue_init(casgi_queue_t *place, void **slots, size_t capacity);
int queue_put(casgi_queue_t *place, void *item);
int queue_try_put(casgi_queue_t *place, void *item);
int queue_get(casgi_queue_t *place, void **out_item);
int queue_try_get(casgi_queue_t *place, void **out_item);
int queue_close(casgi_queue_t *place);
