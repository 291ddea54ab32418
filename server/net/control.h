/* net/control.h: the channel between the supervisor and a worker, and, during a change of workers, between the old
 * worker and the new one. A pair of SOCK_SEQPACKET sockets: one message a packet, descriptors travel with it, and the
 * other side's death reads as an end. libc only.
 *
 *   supervisor                                  worker
 *      | -- START (module, sockets) -------------> |   or PLACEHOLDER (text, sockets)
 *      | <------------------------ READY | FAILED  |
 *      | -- ADOPT (channel) ---------------------> |   it takes over connections from that channel
 *      | -- DRAIN (channel) | STOP --------------> |   it gives its idle ones to that channel, ends the busy ones
 *      | <---------------------------- HANDED_OVER |   it accepts no more and holds no idle connection
 *      |                          (exit)           |
 */
#pragma once

#include "casgi/base.h"

enum control_type {
    CONTROL_START = 1,   /* text: the module's file; value: generation; fds: listening sockets */
    CONTROL_PLACEHOLDER, /* text: what every request is answered with; value, fds: as START */
    CONTROL_ADOPT,       /* fds[0]: the channel on which CONNECTIONS come until its end */
    CONTROL_DRAIN,       /* fds[0]: the channel for CONNECTIONS; none: idle connections are closed */
    CONTROL_STOP,        /* as a SIGTERM */
    CONTROL_READY,       /* the worker serves */
    CONTROL_FAILED,      /* text: why it does not; value: the exit code */
    CONTROL_HANDED_OVER, /* what is idle has left; value: how many connections did */
    CONTROL_RETIRE,      /* the worker asks for a successor; text: why */
    CONTROL_CONNECTIONS, /* fds: idle connections, unread bytes included */
};

#define CONTROL_FD_MAX 64      /* descriptors of one message */
#define CONTROL_TEXT_MAX 16384 /* bytes of text of one message; longer text is cut */

struct control_message {
    uint32_t type; /* enum control_type */
    uint32_t value;
    casgi_str_t text; /* ptr NULL: none */
    int fds[CONTROL_FD_MAX];
    size_t fd_count;
};

/* Two connected ends, non-blocking and close-on-exec. */
int control_pair(int out_fds[2]) __attribute__((warn_unused_result));

/* Sends one message; the descriptors stay the caller's (the receiver gets copies). Never blocks. CASGI_EAGAIN: no room,
 * nothing was sent, poll for writing; CASGI_ECLOSED: the other side is gone. */
int control_send(int fd, const struct control_message *message) __attribute__((warn_unused_result));

/* The same for a message without descriptors. `text` may be NULL. */
int control_send_text(int fd, enum control_type type, uint32_t value, const char *text)
    __attribute__((warn_unused_result));

/* Receives one message. Its descriptors are the caller's (close-on-exec); its text is in `buffer`, NUL-terminated.
 * CASGI_EAGAIN: none there; CASGI_ECLOSED: the other side is gone; CASGI_EPROTO: not one of ours. CASGI_ETOOBIG:
 * a message of which descriptors were lost, since this process may not open more; what came is in *out as for 0. */
int control_recv(int fd, struct control_message *out, char buffer[CONTROL_TEXT_MAX + 1])
    __attribute__((warn_unused_result));

/* Closes the descriptors that the message still holds; one that was taken is set to -1 before. */
void control_message_close(struct control_message *message);

/* Names the worker's end in its environment: "CASGI_CONTROL_FD=3". */
#define CONTROL_VARIABLE "CASGI_CONTROL_FD"

/* The end that this process was started with, made close-on-exec, and the variable removed; -1: it has none. */
int control_from_environment(void);
