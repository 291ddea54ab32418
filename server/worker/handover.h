/* worker/handover.h: idle connections leave for the next worker (SCM_RIGHTS; unread bytes travel in the socket), and
 * come from the one before. A connection is given only while it is idle; one that becomes busy while the channel is
 * full is served here and ends with "Connection: close". */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct handover;
struct http1;
struct worker;

/* Begins to give the worker's connections to `channel`, which it owns on success. CASGI_ENOMEM. */
int handover_new(struct worker *worker, int channel, struct handover **out) __attribute__((warn_unused_result));

/* There may be idle connections: they are looked for soon. false: nobody takes them (also for NULL). */
bool handover_offer(struct handover *handover);

/* This one has become idle: it leaves now, before its client's next request is read here, or, if the channel is full,
 * soon. false: nobody takes it (also for NULL). */
bool handover_offer_one(struct handover *handover, struct http1 *connection);

/* Whether connections may still be given. NULL: no. */
bool handover_open(const struct handover *handover);

void handover_free(struct handover *handover); /* NULL does nothing */

/* The other side: connections that come on `channel`, which it owns on success, are served by this worker. They may be
 * from several workers. */
struct adoption;
int adoption_new(struct worker *worker, int channel, struct adoption **list) __attribute__((warn_unused_result));

/* Whether any channel is still open. */
bool adoption_open(const struct adoption *list);
void adoption_free(struct adoption *list);
