/* A loop and a stream, whose peer is a plain socket or another stream in memory; what the stream's owner heard. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/stream.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS_AT_MOST = 30 };

struct fixture {
    struct loop *loop;
    struct stream *stream;
    int peer;             /* -1: closed */
    struct stream *other; /* of a pair */
    unsigned readable;
    unsigned writable;
    unsigned failed;
    int failed_code;
    unsigned departed;
    char got[4096]; /* what readable received */
    size_t got_size;
    ssize_t last_recv;
    bool leave_unread;   /* readable receives nothing */
    bool close_in_event; /* readable closes the stream */
};

int setup_socketpair(void **state);
int setup_tcp(void **state);
int setup_pair(void **state);
int teardown(void **state);

#define SOCKET_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_socketpair, teardown)
#define TCP_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_tcp, teardown)
#define PAIR_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_pair, teardown)

void turns(struct fixture *f, int count);

/* Turns the loop until the count is reached. */
void wait_until(struct fixture *f, const unsigned *counter, unsigned count);

/* Turns the loop until the stream has received so much. */
void wait_for_bytes(struct fixture *f, size_t size);

int write_text(struct stream *stream, const char *text);
ssize_t write_some_text(struct stream *stream, const char *text);

/* What the peer can receive now; the size. */
size_t drain_peer(struct fixture *f, char *out, size_t capacity);

/* As little as the kernel allows, both ways. */
void small_buffers(struct fixture *f);
