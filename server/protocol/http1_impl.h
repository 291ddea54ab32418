/* protocol/http1_impl.h: one connection, as the files of http1 share it. Small: an idle one is all there is of it.
 *
 *            head whole                    body whole                  exchange over
 *   HEAD ---------------> LENGTH, CHUNKED ------------> WHOLE -----------------------> HEAD
 *     |                    (exchange over: the rest is thrown away, then HEAD)           |
 *     | refused, or the last response is out                                             |
 *     +-----------> CLOSING ---> LINGER (the client's last bytes are thrown away) ---> closed
 *                      +-------> FLUSH  (our last bytes leave) ----------------------> closed
 *
 * Nothing is freed while `busy`: whoever is inside a callback of the connection finds it there when the exchange or the
 * worker has ended it meanwhile; http1_leave does what is due. */
#pragma once

#include "protocol/http1.h"
#include "protocol/http1_buffer.h"
#include "protocol/http1_chunks.h"
#include "protocol/http1_head.h"

#define HTTP1_READ_SIZE 16384       /* of one recv, but into a body */
#define HTTP1_SMALL_SIZE 8192       /* of a response's last bytes, copied rather than waited for */
#define HTTP1_QUEUE_MOST 32768      /* unsent bytes above which no further request begins */
#define HTTP1_LINGER_MOST (1 << 20) /* bytes thrown away from a closed connection */
#define HTTP1_LINGER_US 2000000
#define HTTP1_BODY_TICK_US 1000000
#define HTTP1_BODY_CREDIT_MS 25000 /* how much earlier speed can make up for */

enum http1_in {
    IN_HEAD,
    IN_LENGTH,
    IN_CHUNKED,
    IN_WHOLE,
    IN_CLOSING,
    IN_LINGER,
    IN_FLUSH,
    IN_DEAD, /* to be closed at once */
};

enum http1_due { DUE_NEVER, DUE_HEAD, DUE_IDLE, DUE_WRITE, DUE_BODY, DUE_LINGER };

struct http1 {
    struct exchange_lender lender; /* first: of `texts`, which scopes point into */
    struct list node;
    struct http1_host *host;
    struct stream *stream;
    struct exchange *ex;              /* the request being served; NULL: none */
    struct http1_buffer *kept;        /* bytes that cannot be used yet; NULL: none */
    const struct response_head *head; /* staged by the exchange; NULL: none */
    struct expiry deadline;
    struct loop_late late;
    union {
        uint64_t left;              /* LENGTH: bytes to come; LINGER: still thrown away */
        struct http1_chunks chunks; /* CHUNKED */
    } body;
    uint64_t wire;        /* bytes of the current request so far: where faults are */
    uint64_t out_left;    /* of the response chunk begun */
    uint64_t drained;     /* body bytes thrown away behind the response */
    int32_t body_debt_ms; /* how far the body is behind the least rate */
    uint32_t body_recent; /* bytes since the last tick */
    uint32_t unsent;      /* when the write deadline was set */
    int32_t client_port;
    int32_t server_port;
    uint16_t client_len; /* of the texts behind this struct, each with a NUL */
    uint16_t server_len;
    uint16_t section; /* tag of the last request's header section */
    uint8_t in;       /* enum http1_in */
    uint8_t due;      /* enum http1_due: what `deadline` is set for */

    /* Set anew by each request: whole bytes. */
    bool begun;    /* the exchange's application was called */
    bool body_bad; /* nothing of it is wanted any more */
    bool keep;     /* the client's wish */
    bool http10;
    bool last;      /* this response announced that the connection closes */
    bool chunked;   /* the response is */
    bool delimited; /* the response ends where the connection ends */
    bool bodiless;  /* the response has no body */
    bool bulky;     /* its body is more than a usual recv brings; probably the next one's, too */

    bool busy : 1;     /* inside a callback */
    bool fresh : 1;    /* not a byte of a request came yet; its time runs */
    bool more : 1;     /* the last recv filled its room: there is probably more */
    bool fin : 1;      /* the client has ended its side */
    bool parting : 1;  /* it has, behind bytes that were not received yet */
    bool draining : 1; /* http1_drain was called */
    bool broken : 1;   /* a write failed */
    bool reset : 1;    /* close so that a cut response is not taken for whole */
    bool linger : 1;   /* the client may still be sending: close so that it can read our answer */
    bool starved : 1;  /* the exchange waits for room to write */
    bool stalled : 1;  /* no further request begins before the queue is empty */
    bool progress : 1; /* bytes left since the write deadline was set */
    bool expect : 1;   /* a 100 Continue is due when the application asks for the body */

    char texts[];
};

/* Bytes at hand: received, not yet used. They lie in the loop's scratch or in connection->kept. */
struct http1_window {
    const char *data;
    size_t size;
    struct http1_scan scan; /* of the head that begins at `data` */
};

/* ---- http1.c ---- */

/* Around everything that may end the connection; the second does what became due. The pointer may be dead after it. */
void http1_enter(struct http1 *c);
void http1_leave(struct http1 *c);

/* Comes back to the connection at the end of the batch, if nobody is inside it now. */
void http1_soon(struct http1 *c);

/* Receives once more; closes if nothing has come. A request that is already here is not lost to a deadline. */
void http1_last_look(struct http1 *c);

casgi_address_t http1_client(const struct http1 *c);

/* ---- http1_run.c: from bytes to requests ---- */

/* Uses what can be used; the rest is in `kept` afterwards, or the connection is ending. */
void http1_run(struct http1 *c, struct http1_window *window);

/* What `kept` holds. */
struct http1_window http1_kept_window(const struct http1 *c);

/* Whether bytes are wanted now. */
bool http1_wants_input(const struct http1 *c);

/* Where the next bytes go; *out_size 0: nowhere now. */
char *http1_input_room(struct http1 *c, size_t *out_size);

/* ---- http1_body.c ---- */

void http1_body_begin(struct http1 *c, const struct http1_facts *facts);

/* Uses body bytes of the window. */
void http1_body_take(struct http1 *c, struct http1_window *window);

/* Before the application is called: room in one piece for a body of which more is there than was read with its head.
 * Not for what fills the exchange's input buffer: it stays there. */
void http1_body_expect(struct http1 *c, size_t at_hand);

/* Receives body bytes where they will stay. false: nowhere to put them; read otherwise. */
bool http1_body_receive(struct http1 *c, ssize_t *out_size);

/* Whether what is still to come may be thrown away, so that the connection can be used again. */
bool http1_body_droppable(const struct http1 *c);

/* The body is broken: the application is told, or, not called yet, replaced by a refusal. */
void http1_body_fail(struct http1 *c, int status, const char *reason);

/* ---- http1_write.c ---- */

extern const struct exchange_driver http1_driver;

/* ---- http1_refuse.c ---- */

/* The exchange, if there is one, goes its own way and nobody hears it any more: the client is gone. */
void http1_orphan(struct http1 *c);

/* Calls host->refused; what it logs has the id of the request, if there is one. */
void http1_tell_refused(struct http1 *c, const struct http1_fault *fault);

/* Answers without an exchange, for what is no request, and closes. Calls host->refused. */
void http1_refuse(struct http1 *c, const struct http1_fault *fault);

/* Answers for an application that is not called, and closes. */
void http1_refuse_exchange(struct http1 *c, int status, const char *reason);

/* ---- http1_due.c: deadlines ---- */

void http1_due_setup(struct http1_host *host, struct loop *loop, uint64_t head, uint64_t idle, uint64_t write);

/* Sets the one deadline that this moment calls for. */
void http1_due_update(struct http1 *c);
