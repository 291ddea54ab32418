#include "support/fake_driver.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

static struct fake_driver *driver_of(struct exchange *ex)
{
    struct fake_driver *self = ex->driver_data;
    assert(self->ex == ex && "the driver was called after end or abort");
    return self;
}

static void copy_field(struct fake_field *out, const casgi_header_t *from)
{
    assert(from->name.len < sizeof(out->name));
    assert(from->value.len < sizeof(out->value));
    memcpy(out->name, from->name.ptr, from->name.len);
    out->name[from->name.len] = '\0';
    memcpy(out->value, from->value.ptr, from->value.len);
    out->value[from->value.len] = '\0';
}

static int on_inform(struct exchange *ex, int status, const casgi_header_t *headers, size_t header_count)
{
    struct fake_driver *self = driver_of(ex);
    if (self->inform_error) {
        return self->inform_error;
    }
    self->informs++;
    self->inform_status = status;
    for (size_t i = 0; i < header_count; i++) {
        copy_field(&self->inform_field, &headers[i]);
    }
    return 0;
}

static int on_head(struct exchange *ex, const struct response_head *head)
{
    struct fake_driver *self = driver_of(ex);
    if (self->head_error) {
        return self->head_error;
    }
    self->heads++;
    self->status = head->status;
    self->content_length = head->content_length;
    self->body_allowed = head->body_allowed;
    self->has_trailers = head->has_trailers;
    self->close = head->close;
    assert(head->header_count <= FAKE_FIELDS_MAX);
    self->field_count = head->header_count;
    for (size_t i = 0; i < head->header_count; i++) {
        copy_field(&self->fields[i], &head->headers[i]);
    }
    return 0;
}

/* What fits of `size`; the head leaves as soon as there is any room. */
static size_t take(struct fake_driver *self, size_t size)
{
    size_t taken = size < self->room ? size : self->room;
    assert(self->body_size + taken <= FAKE_BODY_MAX && !self->last);
    self->head_left = true;
    self->body_size += taken;
    self->room -= self->room == SIZE_MAX ? 0 : taken;
    self->writes++;
    return taken;
}

static ssize_t on_data(struct exchange *ex, const void *data, size_t size, bool last)
{
    struct fake_driver *self = driver_of(ex);
    self->offers++;
    assert(self->heads == 1 && (self->body_allowed || !size));
    if (self->data_error) {
        return self->data_error;
    }
    if (!self->room) {
        return size ? 0 : CASGI_EAGAIN;
    }
    char *to = self->body + self->body_size;
    size_t taken = take(self, size);
    if (taken) {
        memcpy(to, data, taken);
    }
    self->last = last && taken == size;
    return (ssize_t)taken;
}

static ssize_t on_file(struct exchange *ex, int file, int64_t *offset, size_t count)
{
    struct fake_driver *self = driver_of(ex);
    self->offers++;
    if (self->file_unsupported) {
        return CASGI_ENOTSUP;
    }
    if (self->data_error || !self->room) {
        return self->data_error;
    }
    char *to = self->body + self->body_size;
    ssize_t got = pread(file, to, count < self->room ? count : self->room, *offset);
    if (got <= 0) {
        return CASGI_EEOF;
    }
    (void)take(self, (size_t)got);
    *offset += got;
    return got;
}

static int on_trailers(struct exchange *ex, const casgi_header_t *headers, size_t header_count)
{
    struct fake_driver *self = driver_of(ex);
    if (self->data_error || !self->room) {
        return self->data_error ? self->data_error : CASGI_EAGAIN;
    }
    assert(self->has_trailers && !self->last && header_count <= FAKE_FIELDS_MAX);
    for (size_t i = 0; i < header_count; i++) {
        copy_field(&self->trailers[i], &headers[i]);
    }
    self->trailer_count = header_count;
    self->last = true;
    return 0;
}

static void on_wanted(struct exchange *ex)
{
    driver_of(ex)->wanted++;
}

static void on_consumed(struct exchange *ex, size_t n)
{
    struct fake_driver *self = driver_of(ex);
    self->consumed += n;
    if (self->on_consumed) {
        self->on_consumed(self);
    }
}

static void on_end(struct exchange *ex)
{
    struct fake_driver *self = driver_of(ex);
    assert(!task_current());
    self->ends++;
    self->ex = NULL;
}

static void on_abort(struct exchange *ex, int code)
{
    struct fake_driver *self = driver_of(ex);
    self->aborts++;
    self->abort_code = code;
    self->aborted_in_task = task_current() != NULL;
    self->ex = NULL;
}

void fake_driver_init(struct fake_driver *self)
{
    memset(self, 0, sizeof(*self));
    self->table = (struct exchange_driver){
        .inform = on_inform,
        .head = on_head,
        .data = on_data,
        .file = on_file,
        .trailers = on_trailers,
        .wanted = on_wanted,
        .consumed = on_consumed,
        .end = on_end,
        .abort = on_abort,
    };
    self->room = SIZE_MAX;
}

struct exchange *fake_driver_exchange(struct fake_driver *self, struct exchange_host *host, const char *method,
                                      const char *target)
{
    struct exchange *ex = exchange_new(host, &self->table, self);
    if (!ex) {
        return NULL;
    }
    ex->scope.method = casgi_str(method);
    casgi_str_t copy = arena_copy(&ex->arena, casgi_str(target));
    if (!copy.ptr || exchange_set_target(ex, copy) || exchange_set_request_id(ex)) {
        exchange_discard(ex);
        return NULL;
    }
    self->ex = ex;
    return ex;
}

size_t fake_driver_count(const struct fake_driver *self, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < self->field_count; i++) {
        count += !strcmp(self->fields[i].name, name);
    }
    return count;
}

const char *fake_driver_field(const struct fake_driver *self, const char *name)
{
    for (size_t i = 0; i < self->field_count; i++) {
        if (!strcmp(self->fields[i].name, name)) {
            return self->fields[i].value;
        }
    }
    return NULL;
}
