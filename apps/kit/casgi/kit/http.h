/* casgi/kit/http.h: asking other HTTP servers inside handlers.
 *
 *     casgi_fetch_request_t request = { .url = "https://example.org/" };
 *     casgi_fetch_response_t *response;
 *     casgi_str_t body;
 *     int rc = casgi_fetch(client, &request, &response, &error);
 *     if (rc) {
 *         return rc; (error.message says why)
 *     }
 *     rc = casgi_fetch_body(response, 1 << 20, &body);
 *     ... response->status, casgi_fetch_header(response, "content-type"), body ...
 *     casgi_fetch_free(response);
 *
 * A casgi_fetch_client_t is one set of connections of one worker, kept alive and used again; it is libcurl's multi
 * interface, driven by the loop through casgi_wait_fd. HTTP/1.1, and HTTP/2 over TLS where the server offers it (many
 * requests share one connection). A waiting request costs no thread.
 *
 * Bodies stream both ways with backpressure: casgi_fetch returns as soon as the response's head is there,
 * casgi_fetch_read gives its body piece by piece, and while nobody reads the server is held back. casgi_fetch_body
 * gathers a small one.
 *
 * Cancellation and deadlines (casgi_deadline_begin) work in every [task] call; casgi_fetch_free ends what is left of
 * the exchange. There is no time limit but connect_timeout_ms and the caller's deadline: have one.
 *
 * Errors, with a sentence in *out_error (NULL allowed) or response->error:
 *
 *   CASGI_EINVAL     the URL, the method or a header is malformed
 *   CASGI_ENOENT     no such host
 *   CASGI_EREFUSED   no connection could be made
 *   CASGI_EACCES     the server's certificate is not trusted, or TLS failed otherwise; or the trusted certificates
 *                    cannot be read (the sentence names the file)
 *   CASGI_EPROTO     what came back is not HTTP
 *   CASGI_EIO        the connection was lost in between
 *   CASGI_ETOOBIG    more than the limit
 *   CASGI_ECANCELED, CASGI_ETIMEDOUT, CASGI_ENOMEM, CASGI_EWRONGTHREAD
 *
 * Trusted certificates are read on a thread by the first request that may need them, and again by the first that is a
 * day later; if that fails then, those from before stay. Where SSL_CERT_FILE is in the environment it names the
 * system's.
 *
 * A status of 400 or more is not an error. Needs libcurl; link with what `pkg-config --libs casgi-kit` says. */
#pragma once

#include <casgi/casgi.h>

CASGI_EXTERN_C_BEGIN

typedef struct casgi_fetch_client casgi_fetch_client_t;

/* Zero it first. */
typedef struct casgi_fetch_options {
    uint32_t max_connections;    /* in all; 0: unlimited. Requests beyond it wait in the order of arrival */
    uint32_t max_per_host;       /* connections to one host; 0: unlimited */
    uint32_t keep_connections;   /* idle ones that are kept; 0: 64 */
    uint32_t connect_timeout_ms; /* name, connection and TLS; 0: 10 s */
    uint32_t buffer_size;        /* of a response's body, held in memory while nobody reads it; 0: 64 KiB */
    uint32_t flags;              /* enum casgi_fetch_flag */
    const char *ca_file;         /* trusted certificates (PEM), also of an https proxy; NULL: the system's */
    const char *proxy;           /* NULL: by the environment (http_proxy and so on); "": none */
    const char *user_agent;      /* NULL: "casgi"; "": none */
    uintptr_t reserved[8];
} casgi_fetch_options_t;

enum casgi_fetch_flag {
    CASGI_FETCH_INSECURE = 1, /* the server's certificate is not verified: for tests */
    CASGI_FETCH_HTTP1 = 2     /* no HTTP/2 */
};

/* What to ask. Zero it first. All of it is borrowed until casgi_fetch returns, but the body: until casgi_fetch_free. */
typedef struct casgi_fetch_request {
    const char *url;    /* http:// or https://, with what is special in it percent-encoded */
    const char *method; /* NULL: GET; with a body POST */
    const casgi_header_t *headers;
    size_t header_count;
    casgi_str_t body; /* ptr NULL: none */
    /* [task] A body that is made piece by piece: called in a task of its own, beside yours, so that the response may
     * begin before the body has ended; may suspend. *out_piece is borrowed until the next call, or casgi_fetch_free; an
     * empty one is the end. Other than 0: gives the request up, and is what casgi_fetch or casgi_fetch_read returns.
     * NULL: `body` it is. */
    int (*read_body)(void *arg, casgi_str_t *out_piece);
    void *read_arg;
    int64_t body_size;       /* of read_body's, if it is known; 0: it is not (chunked) */
    uint32_t redirects;      /* how many are followed; 0: none, they are responses */
    uint32_t decode;         /* not 0: offers gzip, deflate, br and zstd as libcurl has them, and undoes them */
    const char *unix_socket; /* the path of a socket to ask instead of the URL's host; NULL: none */
    uintptr_t reserved[8];
} casgi_fetch_request_t;

/* A response whose head has come. Yours: casgi_fetch_free. */
typedef struct casgi_fetch_response {
    int32_t status;
    uint32_t http_version;         /* 10, 11, 20 */
    const casgi_header_t *headers; /* names in lower case; of the last response if redirects were followed */
    size_t header_count;
    casgi_str_t url;   /* what was asked last */
    const char *error; /* why a read failed; "" otherwise */
    uintptr_t reserved[4];
} casgi_fetch_response_t;

/* [loop] Makes a client; opens nothing. Copies the options. *out_client is yours: casgi_fetch_client_free. */
int casgi_fetch_client_new(const casgi_fetch_options_t *options, casgi_fetch_client_t **out_client,
                           casgi_error_t *out_error);

/* [loop] Closes it; with the last of its responses, if there still are any. NULL does nothing. */
void casgi_fetch_client_free(casgi_fetch_client_t *client);

/* How a client stands. */
typedef struct casgi_fetch_stats {
    uint32_t active;    /* responses not freed yet, and requests not answered yet */
    uint32_t reserved0; /* zero */
    uint64_t requests;  /* answered since the beginning */
    uint64_t connected; /* connections they made */
    uintptr_t reserved[4];
} casgi_fetch_stats_t;

/* [loop] */
void casgi_fetch_client_stats(const casgi_fetch_client_t *client, casgi_fetch_stats_t *out_stats);

/* [task] Asks, and returns when the final response's head has come. *out_response is yours: casgi_fetch_free. */
int casgi_fetch(casgi_fetch_client_t *client, const casgi_fetch_request_t *request,
                casgi_fetch_response_t **out_response, casgi_error_t *out_error);

/* [task] The next piece of the body, borrowed until the next read or the free; an empty one (len 0) is the end. After
 * an error every further read gives it again. A read that is cancelled has lost nothing. */
int casgi_fetch_read(casgi_fetch_response_t *response, casgi_str_t *out_piece);

/* [task] All that is left of the body, at most `limit` bytes, NUL-terminated; borrowed until the free. CASGI_ETOOBIG:
 * it is longer; what was read is gone. */
int casgi_fetch_body(casgi_fetch_response_t *response, size_t limit, casgi_str_t *out_body);

/* [any] The value of the first header field called `name` (lower case); ptr NULL: there is none. */
casgi_str_t casgi_fetch_header(const casgi_fetch_response_t *response, const char *name);

/* [task] Ends it; works for a cancelled task. A connection whose response was read to its end is used again, another is
 * closed. Suspends only to cancel a read_body that has not returned. NULL does nothing. */
void casgi_fetch_free(casgi_fetch_response_t *response);

CASGI_EXTERN_C_END
