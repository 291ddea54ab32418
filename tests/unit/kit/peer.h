/* A server on threads of its own, one for each connection, on a loopback port. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { PEER_CONNECTIONS = 64 };

struct peer_connection {
    struct peer *peer;
    pthread_t thread;
    int fd;
};

struct peer {
    void (*serve)(int fd, void *arg); /* on a connection's thread; the descriptor is closed afterwards */
    void *arg;
    int listener;
    uint16_t port;
    pthread_t acceptor;
    struct peer_connection connections[PEER_CONNECTIONS];
    atomic_size_t count; /* of connections so far */
};

void peer_start(struct peer *peer, void (*serve)(int fd, void *arg), void *arg);

/* Waits for its connections to end: the client's side must have closed them. */
void peer_stop(struct peer *peer);
