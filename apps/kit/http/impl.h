/* http/impl.h: what the files of this folder share. Everything but reading certificates happens on the loop's thread.
 *
 *   client.c     libcurl's multi handle, and the task that drives it
 *   transfer.c   one request inside libcurl: its callbacks, which must not suspend
 *   trust.c      the certificates that are trusted, read on a thread
 *   fetch.c      what an author calls; here is waited
 *
 * libcurl says which descriptors and which timer it waits for; the descriptors are in an epoll descriptor of the
 * client's, the timer is a timerfd in it, and one task, the driver, waits for that with casgi_wait_fd and lets libcurl
 * work. Callbacks leave what came in the transfer and set its flag, for which the author's task waits:
 *
 *     author's task                           driver
 *     fetch: add the easy handle ----------->  (timer) connect, send, receive
 *     wait for the flag  <-------------------  on_header, on_body: set the flag
 *     read: take what came, unpause -------->  go on receiving
 *     (the feeder: read_body, unpause) ----->  go on sending
 *     free: remove the easy handle */
#pragma once

#include "casgi/kit/http.h"

#include <curl/curl.h>

struct x509_store_st; /* OpenSSL's X509_STORE */

struct kit_trust {
    bool ours;                   /* libcurl takes what we have read */
    bool tls_proxy;              /* https: */
    casgi_lock_t lock;           /* who holds it reads them */
    struct x509_store_st *store; /* NULL: not read yet */
    uint64_t since;              /* when that was */
};

struct casgi_fetch_client {
    CURLM *multi;
    int epoll;
    int timer;
    uint64_t due;      /* when libcurl wants to be called, in microseconds of casgi_now; 0: never */
    uint64_t armed;    /* when the timer will fire; 0: it will not */
    size_t references; /* its owner's, the driver's, and one of each transfer */
    bool driving;
    bool cancelled; /* the driver was */
    bool closed;
    struct kit_transfer *transfers; /* all there are */
    struct kit_trust trust;
    casgi_fetch_stats_t stats;
    /* options */
    uint32_t connect_timeout_ms;
    uint32_t buffer_size;
    uint32_t flags;
    char *ca_file;
    char *proxy;
    char *user_agent;
};

/* Bytes that grow. */
struct kit_bytes {
    char *data;
    size_t size;
    size_t capacity;
};

struct kit_transfer {
    casgi_fetch_response_t response; /* first: what the author has */
    casgi_fetch_client_t *client;
    struct kit_transfer *next;  /* of the client's */
    struct kit_transfer **link; /* that leads here */
    CURL *easy;
    struct curl_slist *fields; /* of the request */
    casgi_flag_t event;        /* something has come */
    /* what has come */
    bool has_head; /* the final response's */
    bool done;
    bool added; /* to the multi handle */
    bool receive_paused;
    bool send_paused;
    CURLcode result;         /* once done */
    struct kit_bytes coming; /* of the body, not given out yet */
    struct kit_bytes given;  /* the piece the author has */
    struct kit_bytes whole;  /* casgi_fetch_body's */
    casgi_header_t *headers;
    /* the body of the request */
    int (*read_body)(void *arg, casgi_str_t *out_piece);
    void *read_arg;
    casgi_task_t *feeder; /* calls it; NULL: there is none */
    casgi_flag_t hungry;  /* libcurl wants the next piece */
    casgi_str_t unsent;   /* what is left of the piece that read_body gave */
    bool body_ended;
    uint32_t redirects; /* that are followed */
    int failed;         /* of read_body, or of our own; 0: none */
    char text[CURL_ERROR_SIZE];
    casgi_error_t error;
};

/* ---- client.c ---- */

/* [task] Sees to it that the driver runs. */
int kit_client_drive(casgi_fetch_client_t *client) __attribute__((warn_unused_result));

/* [loop] Whether the driver ends when there are no transfers any more. */
bool kit_client_leaves(const casgi_fetch_client_t *client);

/* [loop] Lets the driver look again whether it still has something to do. */
void kit_client_wake(casgi_fetch_client_t *client);

/* [loop] */
void kit_client_unref(casgi_fetch_client_t *client);

/* ---- trust.c ---- */

/* [loop] After the client has its options. */
void kit_trust_init(casgi_fetch_client_t *client);

/* [loop] */
void kit_trust_release(casgi_fetch_client_t *client);

/* [task] Sees to it that what `request` may need has been read; requests at the same time share one reading. */
int kit_trust_prepare(casgi_fetch_client_t *client, const casgi_fetch_request_t *request, casgi_error_t *error)
    __attribute__((warn_unused_result));

/* [loop] Has a transfer's connections trust what was read. */
CURLcode kit_trust_set(casgi_fetch_client_t *client, CURL *easy) __attribute__((warn_unused_result));

/* ---- transfer.c ---- */

/* [loop] A transfer of `request`, not added to the multi handle yet. */
int kit_transfer_new(casgi_fetch_client_t *client, const casgi_fetch_request_t *request,
                     struct kit_transfer **out_transfer, casgi_error_t *error) __attribute__((warn_unused_result));

/* [loop] */
int kit_transfer_start(struct kit_transfer *transfer) __attribute__((warn_unused_result));

/* [task] Ends the feeder, removes the transfer from the multi handle and frees it. */
void kit_transfer_free(struct kit_transfer *transfer);

/* [loop] libcurl is done with it. */
void kit_transfer_done(struct kit_transfer *transfer, CURLcode result);

/* [loop] Tells libcurl which of its directions may go on. */
void kit_transfer_resume(struct kit_transfer *transfer);

/* [loop] The head of the response, from libcurl, for the author. CASGI_ENOMEM. */
int kit_transfer_take_head(struct kit_transfer *transfer) __attribute__((warn_unused_result));

/* [loop] Why it failed: the code, and the sentence in transfer->error. */
int kit_transfer_fail(struct kit_transfer *transfer);

/* [any] Room for `more` bytes, and one for a NUL. CASGI_ENOMEM. */
int kit_bytes_reserve(struct kit_bytes *bytes, size_t more) __attribute__((warn_unused_result));
