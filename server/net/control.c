#include "net/control.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct header {
    uint32_t type;
    uint32_t value;
};

/* Room for the descriptors of one message, aligned as the kernel wants it. */
union ancillary {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * CONTROL_FD_MAX)];
};

int control_pair(int out_fds[2])
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds)) {
        return error_from_errno(errno);
    }
    out_fds[0] = fds[0];
    out_fds[1] = fds[1];
    return 0;
}

static void attach_fds(struct msghdr *msg, union ancillary *ancillary, const struct control_message *message)
{
    size_t size = sizeof(int) * message->fd_count;
    if (!size) {
        return;
    }
    memset(ancillary, 0, sizeof(*ancillary));
    msg->msg_control = ancillary->bytes;
    msg->msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(cmsg), message->fds, size);
}

static int send_error(int number)
{
    switch (number) {
    case ENOBUFS:
    case ETOOMANYREFS: /* too many descriptors on their way: the receiver must take some first */
        return CASGI_EAGAIN;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return CASGI_ECLOSED;
    default:
        return error_from_errno(number);
    }
}

int control_send(int fd, const struct control_message *message)
{
    struct header header = { message->type, message->value };
    size_t text_size = message->text.len < CONTROL_TEXT_MAX ? message->text.len : CONTROL_TEXT_MAX;
    struct iovec iov[2] = { { &header, sizeof(header) }, { (void *)(uintptr_t)message->text.ptr, text_size } };
    union ancillary ancillary;
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
    ssize_t sent;
    if (message->fd_count > CONTROL_FD_MAX) {
        return CASGI_ETOOBIG;
    }
    attach_fds(&msg, &ancillary, message);
    do {
        sent = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? send_error(errno) : 0;
}

int control_send_text(int fd, enum control_type type, uint32_t value, const char *text)
{
    const struct control_message message = { .type = type, .value = value, .text = casgi_str(text) };
    return control_send(fd, &message);
}

static void take_fds(struct msghdr *msg, struct control_message *out)
{
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
        if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS) {
            out->fd_count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(out->fds, CMSG_DATA(cmsg), out->fd_count * sizeof(int));
        }
    }
}

/* Whether what came is a whole message; if it is none of ours, its descriptors are closed. */
static int check_message(struct control_message *message, const struct msghdr *msg, size_t size)
{
    int rc = 0;
    if (size < sizeof(struct header) || (msg->msg_flags & MSG_TRUNC)) {
        rc = CASGI_EPROTO;
    } else if (msg->msg_flags & MSG_CTRUNC) {
        rc = CASGI_ETOOBIG;
    }
    if (rc == CASGI_EPROTO) {
        control_message_close(message);
    }
    return rc;
}

int control_recv(int fd, struct control_message *out, char buffer[CONTROL_TEXT_MAX + 1])
{
    struct header header = { 0, 0 };
    struct iovec iov[2] = { { &header, sizeof(header) }, { buffer, CONTROL_TEXT_MAX } };
    union ancillary ancillary;
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
    ssize_t size;
    msg.msg_control = ancillary.bytes;
    msg.msg_controllen = sizeof(ancillary.bytes);
    do {
        size = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size <= 0) {
        return size == 0 || errno == ECONNRESET ? CASGI_ECLOSED : error_from_errno(errno);
    }
    out->fd_count = 0;
    take_fds(&msg, out);
    int rc = check_message(out, &msg, (size_t)size);
    if (rc == CASGI_EPROTO) {
        return rc;
    }
    size_t text_size = (size_t)size - sizeof(header);
    buffer[text_size] = '\0';
    out->type = header.type;
    out->value = header.value;
    out->text = (casgi_str_t){ buffer, text_size };
    return rc;
}

void control_message_close(struct control_message *message)
{
    for (size_t i = 0; i < message->fd_count; i++) {
        if (message->fds[i] >= 0) {
            close(message->fds[i]);
        }
    }
    message->fd_count = 0;
}

int control_from_environment(void)
{
    const char *text = getenv(CONTROL_VARIABLE);
    if (!text) {
        return -1;
    }
    char *end;
    long fd = strtol(text, &end, 10);
    bool usable = *text && !*end && fd > STDERR_FILENO && fd <= INT32_MAX && fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0;
    unsetenv(CONTROL_VARIABLE);
    return usable ? (int)fd : -1;
}
