/* exchange/exchange.h: THE scope/receive/send cycle, once, for every protocol.
 *
 *   protocol (driver)                    exchange                          application (a task)
 *   exchange_new, fills scope  ------->  exchange_begin  --------------->  app->call(app, scope, receive, send)
 *   exchange_body, _body_end   ------->  inbound queue   --------------->  receive
 *   driver->head, data, ...    <-------  order checked   <---------------  send
 *   exchange_writable, _gone   ------->  wakes who waits
 *   driver->end | abort        <-------  app returned, record observed, then freed by the exchange
 *
 * States of an http response (ASGI www, "Response Start", "Response Body"):
 *
 *   IDLE --start--> STARTED --body(more)--> BODY --body(last)--> [TRAILERS --trailers(last)-->] COMPLETE
 *
 * The start is kept until the first body event, so that an early failure is still a clean 500. When the handler
 * returns: nothing sent, or a failure before the first body event -> 500; half sent, or a start that was never followed
 * by a body -> abort. A client that left first is a 499, not an error.
 *
 * The driver does framing (lengths, chunks, frames) and connection fields; the exchange does order, validation
 * (status 200-599, tokens, no CR/LF/NUL in values), the content-length account, default and configured header fields,
 * who may wait, and the record. Everything is [loop]; receive and send are [task]. */
#pragma once

#include "base/arena.h"
#include "casgi/app.h"
#include "runtime/loop.h"
#include "runtime/task.h"

struct exchange;

/* A response's head, as the driver writes it out. Everything is borrowed until the first data, file or trailers after
 * driver->head returns, and no longer than until driver->end or abort. */
struct response_head {
    int status;
    /* The application's (without content-length, transfer-encoding, connection, keep-alive, upgrade, proxy-connection),
     * then, unless the two flags below say otherwise, the configured and default ones. */
    const casgi_header_t *headers;
    size_t header_count;
    casgi_str_t lines;      /* the same as text: "name: value\r\n" for each of them, in order; ptr NULL: not at hand */
    bool add_defaults;      /* all of host->default_headers are to be added; only for a driver that adds them */
    bool add_date;          /* and a date field */
    int64_t content_length; /* the driver writes the field; -1: unknown, or there is to be none */
    bool body_allowed;      /* false: HEAD, 204, 304: no body bytes and no transfer coding */
    bool has_trailers;      /* trailers follow and the request had "TE: trailers" */
    bool close;             /* the application said "connection: close" */
};

/* What a protocol does for an exchange. `ex->driver_data` is the protocol's own. */
struct exchange_driver {
    /* It has the default fields ready in its own form and heeds add_defaults and add_date. */
    bool adds_defaults;
    /* An interim response: 103. NULL: not offered. */
    int (*inform)(struct exchange *ex, int status, const casgi_header_t *headers, size_t header_count);
    /* Stages the head; it leaves with the first data. Once. */
    int (*head)(struct exchange *ex, const struct response_head *head);
    /* Body bytes. `last`: the response's end. Returns how many were taken: all, or fewer, and exchange_writable
     * follows; what is not taken is offered again. A head staged counts as not taken until it has left (returns 0).
     * `last` counts as taken only when all bytes are. size 0: only the staged head, and, if `last`, the end; returns 0
     * when it is done or CASGI_EAGAIN. Small last bytes may wait for the end of the read batch. Any other code: the
     * response is cut, the application gets CASGI_EDISCONNECTED. Not called with bytes where body_allowed is false. */
    ssize_t (*data)(struct exchange *ex, const void *data, size_t size, bool last);
    /* As data, from a file at *offset, which it advances; never `last`: data(NULL, 0, true) follows. 0: none now, and
     * exchange_writable follows. CASGI_EEOF: the file ended early. CASGI_ENOTSUP: the exchange reads and calls data.
     * NULL: the same. */
    ssize_t (*file)(struct exchange *ex, int file, int64_t *offset, size_t count);
    /* The trailer section; it ends the response. 0, CASGI_EAGAIN, or another code. NULL: trailers are not offered. */
    int (*trailers)(struct exchange *ex, const casgi_header_t *headers, size_t header_count);
    /* The application waits in its first receive and the body has not arrived: a 100 Continue is due, if asked for. */
    void (*wanted)(struct exchange *ex);
    /* The application has taken n body bytes: reading may go on. */
    void (*consumed)(struct exchange *ex, size_t n);
    /* The exchange is over and its response whole (sent or in the stream's queue). The driver forgets `ex`: it is freed
     * when this returns. */
    void (*end)(struct exchange *ex);
    /* The exchange is over and the response is cut: the connection (the stream of a multiplexed one) is reset.
     * The driver forgets `ex`. Also after exchange_gone. A send that is cancelled in the midst of its event, or breaks
     * its content-length, aborts at once, inside the application's task; else it comes, as `end`, from the loop. */
    void (*abort)(struct exchange *ex, int code);
};

/* What happened, for observers (access log, metrics, trace). */
struct exchange_record {
    uint64_t began;   /* when the head was complete: loop_now, or, if an observer wants it, loop_clock */
    uint64_t started; /* when the start was sent by the application; 0: never */
    uint64_t ended;
    uint64_t bytes_in;   /* body */
    uint64_t bytes_out;  /* body */
    int status;          /* what was (or would have been) answered; 499: the client left first; 0: nothing */
    int app_result;      /* what the handler returned */
    int error;           /* the code that cut it; 0 */
    const char *why;     /* static text for the log: "the handler returned without a response"; NULL: nothing to say */
    const char *refused; /* static text for the log: why a send was refused, the last time; NULL */
    bool failed;         /* by the application's fault: `why` is an error (a client that left is none) */
    bool client_gone;
    bool aborted; /* the response was cut */
};

/* Who is told of an exchange's steps. All may be NULL. */
struct exchange_observer {
    struct exchange_observer *next;
    void *data;
    bool exact_times; /* it wants the record's times as the clock says, not the batch of events */
    void (*on_begin)(struct exchange_observer *self, const struct exchange *ex);
    void (*on_event)(struct exchange_observer *self, const struct exchange *ex, bool sent, const casgi_event_t *event,
                     int result);
    void (*on_end)(struct exchange_observer *self, const struct exchange *ex);
};

/* What all exchanges of one application share. Made by the worker; outlives them. Observers and default fields stay the
 * same from the first exchange on. */
struct exchange_host {
    struct loop *loop;
    casgi_app_t *app;
    uint32_t app_flags;                    /* enum casgi_app_flag */
    const casgi_header_t *default_headers; /* configured and "server"; a default is left out where the application sent
                                              a field of that name */
    size_t default_header_count;
    bool date_header;
    uint64_t body_limit;    /* largest request body; 0: unlimited */
    size_t body_high_water; /* buffered request body at which the driver is asked to stop reading; 0: 65536 */
    struct exchange_observer *observers;
    struct state_base *state; /* the lifespan's; NULL: none */
    size_t running;           /* exchanges begun and not ended */
    struct list active;
    void (*on_idle)(struct exchange_host *host); /* running fell to 0; may be NULL */
    struct exchange_pools *pools;                /* for reuse: the exchange's; exchange_host_release frees them */
};

enum exchange_inbound {
    INBOUND_OPEN,     /* more body may come */
    INBOUND_COMPLETE, /* the body's end was seen */
    INBOUND_GONE,     /* the client has ended its side or vanished */
};

/* Memory beside their arenas that scopes point into: a connection's addresses. The first member of what malloc gave;
 * who lets go last frees it. */
struct exchange_lender {
    uint32_t users; /* 1 at first: the lender itself */
};

struct exchange {
    struct list node; /* in host->active */
    struct exchange_host *host;
    const struct exchange_driver *driver;
    void *driver_data;
    casgi_scope_t scope; /* filled by the driver, texts in `arena` or with `lender` */
    struct arena arena;
    struct exchange_lender *lender; /* set by exchange_borrow; NULL: none */
    struct exchange_record record;
    const casgi_str_t *listener;   /* for logs; may be NULL */
    struct exchange_private *priv; /* receive and send, queues, states: exchange.c's */
};

/* Before the first exchange: checks nothing, needs no memory; the public members are already set, `active` and the
 * private ones need not be. */
void exchange_host_init(struct exchange_host *host);

/* After the last exchange: frees what was kept for reuse. */
void exchange_host_release(struct exchange_host *host);

/* A blank exchange; scope zeroed but for what is the same for all (asgi versions, get, type). NULL: out of memory. */
struct exchange *exchange_new(struct exchange_host *host, const struct exchange_driver *driver, void *driver_data);

/* Frees one that was not begun, or whose begin failed. */
void exchange_discard(struct exchange *ex);

/* Keeps `lender` until the exchange has been freed. At most one. */
void exchange_borrow(struct exchange *ex, struct exchange_lender *lender);

/* One user less. */
void exchange_lender_release(struct exchange_lender *lender);

/* Sets path, raw_path, query_string from a request target in origin form: splits at "?", percent-decodes, checks UTF-8
 * and NUL, puts the scope's root_path in front. `target` lives as long as the exchange (in its arena), is followed by a
 * NUL, and may be written to: it is taken apart where it lies. "*" is a path of its own, without root_path.
 * CASGI_EINVAL (a 400), CASGI_ENOMEM. */
int exchange_set_target(struct exchange *ex, casgi_str_t target);

/* Sets scope.request_id: the sane X-Request-ID among the scope's headers, else a new one. */
int exchange_set_request_id(struct exchange *ex);

/* Runs the application: a task starts at once and runs until it parks or ends; `ex` may be over (driver->end or abort
 * called) when this returns. `complete`: there is no body, or it is already whole in the queue. CASGI_ENOMEM: nothing
 * ran; the caller refuses it with a 503, or discards it. */
int exchange_begin(struct exchange *ex, bool complete) __attribute__((warn_unused_result));

/* Answers without the application: status, text/plain body, through the same head and data; the record is observed. For
 * refusals (400, 413, 431, 503): head.close is set, the driver closes afterwards. Takes `ex` over, which may be over
 * when it returns, or once the driver has taken all of it. `why` (static, NULL allowed) is for the log. */
void exchange_refuse(struct exchange *ex, int status, const char *why);

/* ---- upward, by the driver ---- */

/* None of these ends the exchange before it returns. After the response is complete or cut, body bytes are taken and
 * thrown away. */

/* Where body bytes may be received into directly: up to *out_size bytes, at least 1; NULL: none now (full: stop
 * reading, consumed() follows; or out of memory). Then commit, before anything else runs. For bodies whose length is
 * known: the driver compares that with host->body_limit itself. */
char *exchange_body_reserve(struct exchange *ex, size_t wanted, size_t *out_size);
void exchange_body_commit(struct exchange *ex, size_t size);

/* Copies body bytes in, also above high water. CASGI_ETOOBIG: over the body limit (the driver refuses with 413 or
 * aborts); CASGI_ENOMEM. */
int exchange_body(struct exchange *ex, const void *data, size_t size) __attribute__((warn_unused_result));

#define EXCHANGE_INPUT_SIZE ((size_t)65536 + 4096) /* a body of 64 KiB and its head */

/* Where to receive before it is known for whom, *out_size (EXCHANGE_INPUT_SIZE) bytes; host had an exchange before.
 * What it holds is anyone's once an application runs or more is received. NULL: out of memory. */
char *exchange_input(struct exchange_host *host, size_t *out_size);

/* As exchange_body, for the last bytes received there: where nothing waits before them and they are many, they are not
 * copied; the exchange keeps the buffer, and exchange_input lends another. Elsewhere the same as exchange_body. */
int exchange_body_adopt(struct exchange *ex, const char *data, size_t size) __attribute__((warn_unused_result));

/* Whether reading should pause: buffered body is at high water. consumed() follows. */
bool exchange_body_full(const struct exchange *ex);

void exchange_body_end(struct exchange *ex);

/* Room again after a short `data`. */
void exchange_writable(struct exchange *ex);

/* The client is gone. `write_too`: receive says disconnect at once and send fails (RST, write error), else only reading
 * ended (FIN): a whole body is still received first, then disconnect; send still writes. Before the body's end it is
 * always both. */
void exchange_gone(struct exchange *ex, bool write_too);

/* The body is broken (bad chunk, too large, too slow): receive says disconnect; if nothing was sent yet, the client
 * gets `status` when the handler returns without an answer. `why` static. */
void exchange_body_failed(struct exchange *ex, int status, const char *why);

/* Whether the task waits for body bytes just now (the body-rate deadline counts only then). */
bool exchange_waits_for_body(const struct exchange *ex);

bool exchange_response_begun(const struct exchange *ex); /* start accepted from the application */
bool exchange_response_complete(const struct exchange *ex);

/* Asks the application's task to stop (a worker that stops, a deadline). */
void exchange_cancel(struct exchange *ex, int code);

/* ---- the lifespan's state ---- */

/* Keys and values, shared by all views until one changes its own. */
struct state_table;
struct state_base;

/* What one scope sees: the table as it was when the view was made, and its own copy after its first change. */
struct state_view {
    casgi_state_t base;
    struct state_table *table; /* a reference; NULL: empty */
};

struct state_base *state_base_new(void); /* NULL: out of memory */
void state_base_free(struct state_base *base);
casgi_state_t *state_base_view(struct state_base *base); /* the lifespan's own view: changes reach later scopes */

/* A scope's view; exchange_begin makes one for each request. Keep the struct in place until release. */
void state_view_init(struct state_view *view, struct state_base *base);
void state_view_release(struct state_view *view);
