/* A server that speaks PostgreSQL's protocol to libpq and knows no SQL: what begins with "select" has the one row
 * "hello" in the column "word", all else has none; begin, commit and rollback change the transaction's state. In a
 * script "notify X" tells X to the channel "news" of the same session, and "quit" ends it. */
#pragma once

#include "peer.h"

#include <stddef.h>

/* For peer_start; arg is not used. */
void pg_peer_serve(int fd, void *arg);

/* The conninfo of such a peer. */
void pg_peer_conninfo(const struct peer *peer, char *text, size_t size);
