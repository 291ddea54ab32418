#include "http/impl.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

int kit_bytes_reserve(struct kit_bytes *bytes, size_t more)
{
    size_t wanted = bytes->size + more + 1, capacity = bytes->capacity ? bytes->capacity : 1024;
    if (wanted <= bytes->capacity) {
        return 0;
    }
    while (capacity < wanted) {
        capacity *= 2;
    }
    char *data = realloc(bytes->data, capacity);
    if (!data) {
        return CASGI_ENOMEM;
    }
    bytes->data = data;
    bytes->capacity = capacity;
    return 0;
}

/* ---- what libcurl calls; none of it may suspend ---- */

static bool will_redirect(struct kit_transfer *transfer, long status)
{
    struct curl_header *location;
    long followed = 0;
    if (!transfer->redirects || status < 300 || status >= 400) {
        return false;
    }
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_COUNT, &followed);
    return followed <= (long)transfer->redirects && /* one too many is libcurl's to report */
           curl_easy_header(transfer->easy, "location", 0, CURLH_HEADER, -1, &location) == CURLHE_OK;
}

static size_t on_header(char *data, size_t one, size_t size, void *arg)
{
    struct kit_transfer *transfer = arg;
    long status = 0;
    bool end = size <= 2 && (data[0] == '\r' || data[0] == '\n');
    if (!end || transfer->has_head) {
        return one * size;
    }
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && !will_redirect(transfer, status)) {
        transfer->has_head = true;
        (void)casgi_flag_set(&transfer->event);
    }
    return one * size;
}

/* libcurl keeps what is not taken, and stops reading. */
static size_t on_body(char *data, size_t one, size_t size, void *arg)
{
    struct kit_transfer *transfer = arg;
    struct kit_bytes *coming = &transfer->coming;
    (void)one;
    if (coming->size && coming->size + size > transfer->client->buffer_size) {
        transfer->receive_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (kit_bytes_reserve(coming, size)) {
        transfer->failed = CASGI_ENOMEM;
        return 0;
    }
    memcpy(coming->data + coming->size, data, size);
    coming->size += size;
    transfer->has_head = true;
    (void)casgi_flag_set(&transfer->event);
    return size;
}

static size_t on_read(char *buffer, size_t one, size_t size, void *arg)
{
    struct kit_transfer *transfer = arg;
    casgi_str_t *unsent = &transfer->unsent;
    size_t room = one * size;
    if (unsent->len) {
        size_t taken = unsent->len < room ? unsent->len : room;
        memcpy(buffer, unsent->ptr, taken);
        unsent->ptr += taken;
        unsent->len -= taken;
        return taken;
    }
    if (transfer->body_ended) {
        return 0;
    }
    transfer->send_paused = true;
    (void)casgi_flag_set(&transfer->hungry);
    return CURL_READFUNC_PAUSE;
}

/* ---- the request ---- */

static bool is_token(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", text[i])) {
            return false;
        }
    }
    return size > 0;
}

static bool is_value(casgi_str_t text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\r' || text.ptr[i] == '\n' || text.ptr[i] == '\0') {
            return false;
        }
    }
    return true;
}

static bool is_called(casgi_str_t name, const char *text)
{
    return name.len == strlen(text) && strncasecmp(name.ptr, text, name.len) == 0;
}

static int add_line(struct kit_transfer *transfer, const char *line)
{
    struct curl_slist *longer = curl_slist_append(transfer->fields, line);
    if (!longer) {
        return CASGI_ENOMEM;
    }
    transfer->fields = longer;
    return 0;
}

/* libcurl takes "name;" for an empty value, and "name:" for a field of its own to leave out. */
static int add_field(struct kit_transfer *transfer, const casgi_header_t *field, struct kit_bytes *line)
{
    line->size = 0;
    if (kit_bytes_reserve(line, field->name.len + field->value.len + 2)) {
        return CASGI_ENOMEM;
    }
    memcpy(line->data, field->name.ptr, field->name.len);
    line->size = field->name.len;
    if (field->value.len) {
        memcpy(line->data + line->size, ": ", 2);
        memcpy(line->data + line->size + 2, field->value.ptr, field->value.len);
        line->size += field->value.len + 2;
    } else {
        line->data[line->size++] = ';';
    }
    line->data[line->size] = '\0';
    return add_line(transfer, line->data);
}

static int add_fields(struct kit_transfer *transfer, const casgi_fetch_request_t *request, casgi_error_t *error)
{
    struct kit_bytes line = { 0 };
    bool typed = false, expects = false;
    int rc = 0;
    for (size_t i = 0; !rc && i < request->header_count; i++) {
        const casgi_header_t *field = &request->headers[i];
        if (!is_token(field->name.ptr, field->name.len) || !is_value(field->value)) {
            rc = casgi_error_set(error, CASGI_EINVAL, "header field %zu cannot be sent", i);
        } else if (!is_called(field->name, "content-length") && !is_called(field->name, "transfer-encoding")) {
            rc = add_field(transfer, field, &line);
        }
        typed = typed || is_called(field->name, "content-type");
        expects = expects || is_called(field->name, "expect");
    }
    free(line.data);
    rc = rc || typed ? rc : add_line(transfer, "content-type:");
    return rc || expects ? rc : add_line(transfer, "expect:");
}

static CURLcode set_body(CURL *easy, const struct kit_transfer *transfer, const casgi_fetch_request_t *request)
{
    CURLcode rc = CURLE_OK;
    if (request->read_body) {
        rc = curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
        curl_off_t size = request->body_size > 0 ? (curl_off_t)request->body_size : -1;
        return rc ? rc : curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, size);
    }
    rc = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    return rc ? rc : curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.ptr ? request->body.ptr : "");
}

/* As libcurl names what it does itself (get, head, post) it also turns a post into a get when it is redirected; other
 * methods are sent as they are. */
static CURLcode set_method(CURL *easy, const struct kit_transfer *transfer, const casgi_fetch_request_t *request)
{
    bool has_body = request->read_body || request->body.ptr;
    const char *method = request->method ? request->method : has_body ? "POST" : "GET";
    if (!has_body && strcmp(method, "GET") == 0) {
        return CURLE_OK;
    }
    if (!has_body && strcmp(method, "HEAD") == 0) {
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    bool post = strcmp(method, "POST") == 0;
    CURLcode rc = has_body || post ? set_body(easy, transfer, request) : CURLE_OK;
    bool named = post && !request->read_body;
    return rc || named ? rc : curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static CURLcode set_callbacks(CURL *easy, struct kit_transfer *transfer)
{
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->text);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    return rc ? rc : curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->fields);
}

static CURLcode set_limits(CURL *easy, const casgi_fetch_client_t *client, const casgi_fetch_request_t *request)
{
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* removing waits for no thread that asks the DNS */
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)client->connect_timeout_ms);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, request->redirects ? 1L : 0L);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)request->redirects);
    return rc || !request->decode ? rc : curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
}

static CURLcode set_peer(CURL *easy, casgi_fetch_client_t *client, const casgi_fetch_request_t *request)
{
    bool secure = !(client->flags & CASGI_FETCH_INSECURE), newest = !(client->flags & CASGI_FETCH_HTTP1);
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_URL, request->url);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, secure ? 1L : 0L);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, secure ? 2L : 0L);
    rc = rc ? rc
            : curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                               newest ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    rc = rc ? rc : kit_trust_set(client, easy);
    rc = rc || !client->proxy ? rc : curl_easy_setopt(easy, CURLOPT_PROXY, client->proxy);
    rc = rc || !*client->user_agent ? rc : curl_easy_setopt(easy, CURLOPT_USERAGENT, client->user_agent);
    return rc || !request->unix_socket ? rc : curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
}

static int set_up(struct kit_transfer *transfer, const casgi_fetch_request_t *request, casgi_error_t *error)
{
    CURL *easy = transfer->easy = curl_easy_init();
    int rc = easy ? add_fields(transfer, request, error) : CASGI_ENOMEM;
    if (rc) {
        return rc;
    }
    CURLcode result = set_callbacks(easy, transfer);
    result = result ? result : set_limits(easy, transfer->client, request);
    result = result ? result : set_peer(easy, transfer->client, request);
    result = result ? result : set_method(easy, transfer, request);
    if (result == CURLE_OUT_OF_MEMORY) {
        return CASGI_ENOMEM;
    }
    return result ? casgi_error_set(error, CASGI_ENOTSUP, "libcurl: %s", curl_easy_strerror(result)) : 0;
}

static void enlist(struct kit_transfer *transfer, casgi_fetch_client_t *client)
{
    client->references++;
    client->stats.active++;
    transfer->client = client;
    transfer->next = client->transfers;
    transfer->link = &client->transfers;
    if (transfer->next) {
        transfer->next->link = &transfer->next;
    }
    client->transfers = transfer;
}

static void delist(struct kit_transfer *transfer)
{
    transfer->client->stats.active--;
    *transfer->link = transfer->next;
    if (transfer->next) {
        transfer->next->link = transfer->link;
    }
}

static int check(const casgi_fetch_request_t *request, casgi_error_t *error)
{
    if (!request->url) {
        return casgi_error_set(error, CASGI_EINVAL, "there is no URL");
    }
    if (request->method && !is_token(request->method, strlen(request->method))) {
        return casgi_error_set(error, CASGI_EINVAL, "this is not a method: %s", request->method);
    }
    return 0;
}

int kit_transfer_new(casgi_fetch_client_t *client, const casgi_fetch_request_t *request,
                     struct kit_transfer **out_transfer, casgi_error_t *error)
{
    int rc = check(request, error);
    if (rc) {
        return rc;
    }
    struct kit_transfer *transfer = calloc(1, sizeof(*transfer));
    if (!transfer) {
        return casgi_error_set(error, CASGI_ENOMEM, "out of memory");
    }
    enlist(transfer, client);
    transfer->response.error = "";
    transfer->read_body = request->read_body;
    transfer->read_arg = request->read_arg;
    transfer->redirects = request->redirects;
    rc = set_up(transfer, request, error);
    if (rc) {
        kit_transfer_free(transfer);
        return rc == CASGI_ENOMEM ? casgi_error_set(error, rc, "out of memory") : rc;
    }
    *out_transfer = transfer;
    return 0;
}

/* ---- its life in the multi handle ---- */

int kit_transfer_start(struct kit_transfer *transfer)
{
    transfer->added = curl_multi_add_handle(transfer->client->multi, transfer->easy) == CURLM_OK;
    return transfer->added ? 0 : CASGI_ENOMEM;
}

static void leave(struct kit_transfer *transfer)
{
    if (transfer->added) {
        (void)curl_multi_remove_handle(transfer->client->multi, transfer->easy);
        transfer->added = false;
    }
}

void kit_transfer_done(struct kit_transfer *transfer, CURLcode result)
{
    long connected = 0;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connected);
    transfer->client->stats.connected += (uint64_t)connected;
    transfer->client->stats.requests += result == CURLE_OK;
    transfer->done = true;
    transfer->result = result;
    leave(transfer); /* its connection is free for others */
    (void)casgi_flag_set(&transfer->event);
}

void kit_transfer_resume(struct kit_transfer *transfer)
{
    int paused = (transfer->receive_paused ? CURLPAUSE_RECV : 0) | (transfer->send_paused ? CURLPAUSE_SEND : 0);
    if (transfer->added) {
        (void)curl_easy_pause(transfer->easy,
                              paused); /* may call on_body at once; what fails here is reported as done */
    }
}

/* It uses the transfer until it has ended. */
static void end_feeder(struct kit_transfer *transfer)
{
    if (transfer->feeder) {
        (void)casgi_shield_begin();
        (void)casgi_cancel(transfer->feeder);
        (void)casgi_join(transfer->feeder, NULL /* out_result */);
        (void)casgi_shield_end();
    }
}

void kit_transfer_free(struct kit_transfer *transfer)
{
    casgi_fetch_client_t *client = transfer->client;
    end_feeder(transfer);
    leave(transfer);
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->fields);
    free(transfer->headers);
    free(transfer->coming.data);
    free(transfer->given.data);
    free(transfer->whole.data);
    delist(transfer);
    free(transfer);
    if (kit_client_leaves(client)) {
        kit_client_wake(client);
    }
    kit_client_unref(client);
}

/* ---- the response ---- */

static size_t measure_head(struct kit_transfer *transfer, size_t *out_count)
{
    size_t size = 0;
    *out_count = 0;
    for (struct curl_header *one = NULL; (one = curl_easy_nextheader(transfer->easy, CURLH_HEADER, -1, one));) {
        size += strlen(one->name) + strlen(one->value) + 2;
        ++*out_count;
    }
    return size;
}

static char *put_text(char *at, const char *text, bool lower, casgi_str_t *out_text)
{
    size_t size = strlen(text);
    while (size && strchr(" \t\r", text[size - 1])) {
        size--; /* libcurl 7.88 leaves the line's end in an empty value */
    }
    for (size_t i = 0; i < size; i++) {
        at[i] = (char)(lower && text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
    }
    at[size] = '\0';
    *out_text = (casgi_str_t){ at, size };
    return at + size + 1;
}

static uint32_t version_of(long version)
{
    switch (version) {
    case CURL_HTTP_VERSION_1_0:
        return 10;
    case CURL_HTTP_VERSION_1_1:
        return 11;
    default:
        return version == CURL_HTTP_VERSION_3 ? 30 : 20;
    }
}

int kit_transfer_take_head(struct kit_transfer *transfer)
{
    size_t count, size = measure_head(transfer, &count), i = 0;
    long status = 0, version = 0;
    char *url = NULL;
    transfer->headers = calloc(1, count * sizeof(*transfer->headers) + size + 1);
    if (!transfer->headers) {
        return CASGI_ENOMEM;
    }
    char *at = (char *)(transfer->headers + count);
    for (struct curl_header *one = NULL;
         i < count && (one = curl_easy_nextheader(transfer->easy, CURLH_HEADER, -1, one)); i++) {
        at = put_text(at, one->name, /* lower */ true, &transfer->headers[i].name);
        at = put_text(at, one->value, /* lower */ false, &transfer->headers[i].value);
    }
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &version);
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_URL, &url);
    transfer->response.status = (int32_t)status;
    transfer->response.http_version = version_of(version);
    transfer->response.url = casgi_str(url);
    transfer->response.headers = transfer->headers;
    transfer->response.header_count = i;
    return 0;
}

/* ---- failures ---- */

/* `asked`: a request has been sent. */
static int code_of(CURLcode result, bool asked)
{
    switch (result) {
    case CURLE_UNSUPPORTED_PROTOCOL: /* of the URL, or HTTP/0.9 */
        return asked ? CASGI_EPROTO : CASGI_EINVAL;
    case CURLE_URL_MALFORMAT:
        return CASGI_EINVAL;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return CASGI_ENOENT;
    case CURLE_COULDNT_CONNECT:
        return CASGI_EREFUSED;
    case CURLE_OPERATION_TIMEDOUT:
        return CASGI_ETIMEDOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return CASGI_EACCES;
    case CURLE_OUT_OF_MEMORY:
        return CASGI_ENOMEM;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_TOO_MANY_REDIRECTS:
        return CASGI_EPROTO;
    default:
        return CASGI_EIO;
    }
}

int kit_transfer_fail(struct kit_transfer *transfer)
{
    long asked = 0;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &asked);
    int code = transfer->failed ? transfer->failed : code_of(transfer->result, asked > 0);
    if (!transfer->error.code) {
        const char *text = transfer->text[0] ? transfer->text : curl_easy_strerror(transfer->result);
        (void)casgi_error_set(&transfer->error, code, "%s", transfer->failed ? casgi_strerror(code) : text);
    }
    transfer->response.error = transfer->error.message;
    return code;
}
