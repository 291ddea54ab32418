#include "pg_peer.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { SSL_REQUEST = 80877103, CANCEL_REQUEST = 80877102, GSS_REQUEST = 80877104, MESSAGE_MAX = 65536, OUT_MAX = 8192 };

struct session {
    int fd;
    char state;      /* 'I' no transaction, 'T' in one */
    char begun[64];  /* how the unnamed statement begins */
    bool unnamed;    /* the portal is the unnamed statement's */
    size_t out_size; /* not sent yet */
    unsigned char out[OUT_MAX];
    unsigned char in[MESSAGE_MAX];
};

/* ---- bytes ---- */

static bool read_all(int fd, unsigned char *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, data + done, size - done);
        if (n <= 0) {
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

static uint32_t number_at(const unsigned char *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

static bool flush(struct session *session)
{
    size_t size = session->out_size;
    session->out_size = 0;
    return write(session->fd, session->out, size) == (ssize_t)size;
}

static void put(struct session *session, char type, const void *body, size_t size)
{
    unsigned char *at = session->out + session->out_size;
    if (size + 5 > OUT_MAX - session->out_size && flush(session)) {
        at = session->out;
    }
    at[0] = (unsigned char)type;
    at[1] = at[2] = 0;
    at[3] = (unsigned char)((size + 4) >> 8);
    at[4] = (unsigned char)(size + 4);
    memcpy(at + 5, body, size);
    session->out_size += size + 5;
}

static void put_ready(struct session *session)
{
    put(session, 'Z', &session->state, 1);
}

/* ---- the beginning ---- */

/* True: it is a session, not a cancel request or the end. */
static bool greet(struct session *session)
{
    for (;;) {
        if (!read_all(session->fd, session->in, 8)) {
            return false;
        }
        uint32_t size = number_at(session->in), code = number_at(session->in + 4);
        if (code == SSL_REQUEST || code == GSS_REQUEST) {
            if (write(session->fd, "N", 1) != 1) {
                return false;
            }
            continue;
        }
        if (code == CANCEL_REQUEST || size > MESSAGE_MAX || !read_all(session->fd, session->in, size - 8)) {
            return false;
        }
        put(session, 'R', "\0\0\0\0", 4);
        put(session, 'K', "\0\0\0\1\0\0\0\2", 8);
        put_ready(session);
        return flush(session);
    }
}

/* ---- statements ---- */

static bool begins_with(const char *text, const char *word)
{
    return strncasecmp(text, word, strlen(word)) == 0;
}

static bool has_rows(const struct session *session)
{
    return !session->unnamed || begins_with(session->begun, "select");
}

static void change_state(struct session *session, const char *sql)
{
    if (begins_with(sql, "begin")) {
        session->state = 'T';
    } else if (begins_with(sql, "commit") || strcasecmp(sql, "rollback") == 0) {
        session->state = 'I';
    }
}

static void describe(struct session *session)
{
    static const char row[] = "\0\1word\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0"; /* one column of text */
    if (has_rows(session)) {
        put(session, 'T', row, sizeof(row));
    } else {
        put(session, 'n', "", 0);
    }
}

static void execute(struct session *session)
{
    if (has_rows(session)) {
        put(session, 'D', "\0\1\0\0\0\5hello", 11);
        put(session, 'C', "SELECT 1", 9);
    } else {
        change_state(session, session->begun);
        put(session, 'C', "DONE", 5);
    }
}

static void notify(struct session *session, const char *payload)
{
    char body[128] = "\0\0\0\7news";
    int size = snprintf(body + 9, sizeof(body) - 9, "%s", payload);
    put(session, 'A', body, 10 + (size_t)size);
}

static void answer(struct session *session, char type)
{
    const char *text = (const char *)session->in;
    switch (type) {
    case 'P': /* the statement's name, its text */
        if (!*text) {
            (void)snprintf(session->begun, sizeof(session->begun), "%s", text + 1);
        }
        put(session, '1', "", 0);
        break;
    case 'B': /* the portal's name, the statement's */
        session->unnamed = text[strlen(text) + 1] == '\0';
        put(session, '2', "", 0);
        break;
    case 'D':
        describe(session);
        break;
    case 'E':
        execute(session);
        break;
    case 'Q':
        change_state(session, text);
        if (begins_with(text, "notify ")) {
            notify(session, text + 7);
        }
        put(session, 'C', "DONE", 5);
        put_ready(session);
        break;
    case 'S':
        put_ready(session);
        break;
    default:
        break;
    }
}

void pg_peer_serve(int fd, void *arg)
{
    struct session session = { .fd = fd, .state = 'I' };
    (void)arg;
    bool alive = greet(&session);
    while (alive && read_all(fd, session.in, 5) && session.in[0] != 'X') {
        char type = (char)session.in[0];
        uint32_t size = number_at(session.in + 1) - 4;
        alive = size < MESSAGE_MAX && read_all(fd, session.in, size);
        session.in[alive ? size : 0] = '\0';
        alive = alive && strcmp((const char *)session.in, "quit") != 0;
        answer(&session, type);
        if (type == 'S' || type == 'Q' || type == 'H') {
            alive = alive && flush(&session);
        }
    }
}

void pg_peer_conninfo(const struct peer *peer, char *text, size_t size)
{
    (void)snprintf(text, size, "hostaddr=127.0.0.1 port=%d user=test dbname=test sslmode=disable gssencmode=disable",
                   peer->port);
}
