#include "peer.h"

#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void *serve_connection(void *arg)
{
    struct peer_connection *connection = arg;
    struct timeval patience = { .tv_sec = 60 };
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    connection->peer->serve(connection->fd, connection->peer->arg);
    (void)close(connection->fd);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct peer *peer = arg;
    int fd;
    while (peer->count < PEER_CONNECTIONS && (fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct peer_connection *connection = &peer->connections[peer->count++];
        connection->peer = peer;
        connection->fd = fd;
        if (pthread_create(&connection->thread, NULL, serve_connection, connection)) {
            abort();
        }
    }
    return NULL;
}

void peer_start(struct peer *peer, void (*serve)(int fd, void *arg), void *arg)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    peer->serve = serve;
    peer->arg = arg;
    peer->count = 0;
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(peer->listener, 128), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &size), 0);
    peer->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&peer->acceptor, NULL, accept_all, peer), 0);
}

void peer_stop(struct peer *peer)
{
    (void)shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->acceptor, NULL);
    for (size_t i = 0; i < peer->count; i++) {
        pthread_join(peer->connections[i].thread, NULL);
    }
    (void)close(peer->listener);
}
