/* exchange/private.h: what the files of this room share. Nobody else includes it. */
#pragma once

#include "exchange/exchange.h"

enum response_state {
    RESPONSE_IDLE,
    RESPONSE_STARTED,  /* the start is kept; nothing has been given to the driver */
    RESPONSE_BODY,     /* the head has been given to the driver */
    RESPONSE_TRAILERS, /* the last body event was sent, trailers are due */
    RESPONSE_COMPLETE,
    RESPONSE_CUT, /* driver->abort was called while the task runs */
};

/* A piece of inbound body. Two sizes, both pooled. */
struct chunk {
    struct chunk *next;
    size_t capacity;
    size_t start; /* the first byte that was not handed out */
    size_t end;
    char data[]; /* one more than capacity, for a NUL */
};

enum chunk_class { CHUNK_SMALL, CHUNK_LARGE, CHUNK_CLASSES };

#define CHUNK_SMALL_SIZE ((size_t)4096 - sizeof(struct chunk) - 1)
#define CHUNK_LARGE_SIZE EXCHANGE_INPUT_SIZE
#define BODY_HIGH_WATER ((size_t)65536)

/* The parts of an exchange's state that a new one finds zeroed: PRIVATE_ZEROED bytes, kept few. */

struct inbound {
    struct task *receiver; /* waits in receive */
    struct chunk *first;
    struct chunk *last;
    struct chunk *lent; /* what the last event points into */
    size_t buffered;
    uint8_t state;   /* enum exchange_inbound */
    bool last_given; /* an http.request with more_body false was handed out */
    bool departed;   /* the client has ended its side after a whole request */
    bool was_wanted; /* driver->wanted was called */
};

struct outbound {
    struct task *sender; /* whose event is being sent */
    int64_t sent;        /* of the content-length */
    size_t unyielded;    /* bytes sent since the task last gave others a turn */
    int code;            /* what every further send returns; 0: none */
    uint8_t state;       /* enum response_state */
    bool announced;      /* the start said: trailers */
    bool refused;        /* a send got CASGI_EINVAL or CASGI_EPROTO */
    bool waiting;        /* the sender waits for exchange_writable */
};

struct exchange_private {
    struct task *task; /* NULL: not begun, or ended */
    struct inbound in;
    struct outbound out;
    uint16_t failed_status; /* of exchange_body_failed; 0 */
    bool entered;           /* observers know of it */
    bool over;              /* the driver has forgotten the exchange */
    bool cancelled;         /* by exchange_cancel */
    bool answering;         /* a refusal or a 500 of our own is on its way, without a task */
    struct state_view state;

    /* From here on nothing is zeroed. These are the same at the begin and at the end of each exchange: */
    casgi_receive_t receive;
    casgi_send_t send;
    struct list turns;     /* struct turn: who waits to be the sender */
    struct loop_late late; /* for `answer` */

    /* and these are set before they are read: */
    struct response_head head;      /* by the start */
    const casgi_header_t *trailers; /* by the start */
    size_t trailer_count;
    casgi_str_t answer; /* what is left of it */
    char request_id[40];
    char description[160];
};

#define PRIVATE_ZEROED offsetof(struct exchange_private, receive)

_Static_assert(PRIVATE_ZEROED > 64 && PRIVATE_ZEROED <= 128, "exchange_new zeroes it in two pieces");

/* One allocation of 3 KiB, less what malloc adds: few requests need a block of the arena besides, and one that waits
 * costs little more than its stack. */
struct exchange_whole {
    struct exchange ex;
    struct exchange_private priv;
    _Alignas(max_align_t) char first[3072 - 16 - sizeof(struct exchange) - sizeof(struct exchange_private)];
};

_Static_assert(sizeof(struct exchange_whole) <= 3072, "the room for the first bytes of the arena");

struct exchange_pools {
    struct list *free;        /* exchange.node, by its next; last given first */
    uint64_t default_lengths; /* field_length_bit of each default field, and of the date */
    bool exact_times;         /* an observer wants them so */
    bool tells_begin;         /* an observer has on_begin */
    bool tells_event;
    size_t count;
    struct chunk *chunks[CHUNK_CLASSES];
    size_t chunk_counts[CHUNK_CLASSES];
    struct chunk *input; /* lent by exchange_input, of nobody's body yet; NULL: none */
};

static inline struct exchange *exchange_of(struct exchange_private *priv)
{
    return &LIST_ENTRY(priv, struct exchange_whole, priv)->ex;
}

void observers_tell(const struct exchange *ex, bool sent, const casgi_event_t *event, int result);
static inline void observe_event(const struct exchange *ex, bool sent, const casgi_event_t *event, int result)
{
    if (__builtin_expect(ex->host->pools->tells_event, false)) {
        observers_tell(ex, sent, event, result);
    }
}

/* Now, for the record. */
static inline uint64_t record_time(const struct exchange *ex)
{
    return ex->host->pools->exact_times ? loop_clock() : loop_now(ex->host->loop);
}

/* ---- exchange.c ---- */

/* 0, or the code of the running task's cancellation, after one turn of the loop. */
static inline int exchange_check_cancelled(enum task_wait why)
{
    int rc = task_check();
    if (rc) {
        do {
            rc = task_park(why); /* a wake that was kept comes first */
        } while (!rc);
    }
    return rc;
}

/* Cuts the response at once: driver->abort. Further sends return `code`. `failed`: by the application's fault. */
void exchange_cut(struct exchange *ex, int code, const char *why, bool failed);

/* The response is over for the application: what is left of the body is thrown away, receive says disconnect. */
void exchange_completed(struct exchange *ex);

/* The last step: observers, driver->end or abort, back to the pool. */
void exchange_conclude(struct exchange *ex, bool whole);

/* ---- judge.c ---- */

/* The handler has returned: completes, answers or cuts; ends in exchange_conclude, now or later. */
void exchange_judge(struct exchange *ex, int result);

/* ---- pool.c ---- */

/* A new one is as whole_init made it, a used one as it was given back. NULL: out of memory. */
struct exchange_whole *whole_take(struct exchange_host *host);
void whole_give(struct exchange_host *host, struct exchange_whole *whole);

/* ---- body.c ---- */

struct chunk *chunk_take(struct exchange_host *host, size_t size); /* NULL: out of memory */
void chunk_give(struct exchange_host *host, struct chunk *chunk);
void chunks_release(struct exchange_pools *pools);

/* Throws away what is queued; how many bytes. */
size_t inbound_drop(struct exchange *ex);
void inbound_release(struct exchange *ex);

static inline void inbound_wake(struct exchange_private *priv)
{
    if (priv->in.receiver) {
        task_wake(priv->in.receiver);
    }
}

/* ---- receive.c ---- */

int exchange_receive(casgi_receive_t *self, casgi_event_t *out_event);

/* ---- send.c ---- */

int exchange_send(casgi_send_t *self, const casgi_event_t *event);

/* Notes why a send is refused; returns `code`. */
int refuse(struct exchange *ex, int code, const char *why);

/* [task] Waits until exchange_writable. `begun`: a part of the event has left, so a cancellation cuts the response. */
int wait_for_room(struct exchange *ex, bool begun);

/* The driver could not write: as if the client had gone. Returns what send returns. */
int driver_failed(struct exchange *ex, int code);

/* Whether `size` more bytes keep to the content-length; else refused, or cut if something is on the wire. */
int account_known(struct exchange *ex, uint64_t size, bool last);
static inline int account(struct exchange *ex, uint64_t size, bool last)
{
    const struct response_head *head = &ex->priv->head;
    return head->body_allowed && head->content_length >= 0 ? account_known(ex, size, last) : 0;
}

/* Gives the head to the driver, if that was not done; `known`: the whole body's length, -1 if unknown. */
int commit_head(struct exchange *ex, int64_t known);

/* [task] Everything to the driver. `begun` as above. */
int push(struct exchange *ex, const char *data, size_t size, bool last, bool begun);

/* The last body event has been sent. */
void body_done(struct exchange *ex);

/* Bytes have been taken: counts them. */
void count_sent(struct exchange *ex, size_t size);

/* Whether the task has sent so much without waiting that others should have a turn. */
bool owes_turn(struct exchange *ex);

/* A failed send, or a disconnect told at once, counts as so many bytes (`unyielded`): who does not heed it and goes on
 * for ever must not hold the loop. */
enum { UNHEEDED = 1 << 16 };

/* ---- response.c, fields.c ---- */

int response_start(struct exchange *ex, const casgi_http_response_start_t *start);
int response_trailers(struct exchange *ex, const casgi_http_response_trailers_t *trailers);
int response_early_hint(struct exchange *ex, const casgi_http_response_early_hint_t *hint);

/* false: HEAD, 204, 304. */
bool response_allows_body(const struct exchange *ex, int status);

/* Adds the server's own fields to the head's, behind which there is room for them (response_spare). `lengths`:
 * field_length_bit of each name. */
void response_add_fields(struct exchange *ex, uint64_t lengths);
size_t response_spare(const struct exchange *ex);
uint64_t response_default_lengths(const struct exchange_host *host);

/* Names are told apart by their lengths first. */
static inline uint64_t field_length_bit(size_t length)
{
    return UINT64_C(1) << (length & 63);
}

/* Copies the application's fields, checked and in lower case, into the arena, with room for `extra` more behind them.
 * Sets of *head: headers, header_count, lines; and, from fields of connection and framing, which are left out,
 * content_length and close. *out_lengths: field_length_bit of each name. 0; CASGI_EINVAL, with *out_why; CASGI_ENOMEM.
 */
int fields_copy(struct arena *arena, const casgi_header_t *from, size_t count, size_t extra, struct response_head *head,
                uint64_t *out_lengths, const char **out_why);

/* The array that fields_copy has made for it. */
static inline casgi_header_t *head_own_fields(const struct response_head *head)
{
    return (casgi_header_t *)(uintptr_t)head->headers;
}

/* ---- file.c ---- */

int response_zerocopysend(struct exchange *ex, const casgi_http_response_zerocopysend_t *event);
int response_pathsend(struct exchange *ex, const casgi_http_response_pathsend_t *event);

/* ---- answer.c ---- */

/* Answers by ourselves; ends in exchange_conclude, now or later. */
void answer_begin(struct exchange *ex, int status);
void answer_on_late(struct loop_late *late);

/* ---- scope.c ---- */

/* Once for each allocation: what is the same for all scopes. */
void scope_init(struct exchange *ex);

/* For each exchange: what drivers set. */
void scope_clear(casgi_scope_t *scope);

casgi_str_t scope_describe(void *owner);
casgi_str_t scope_request_id(void *owner);
bool scope_is_http_1_0(const casgi_scope_t *scope);
