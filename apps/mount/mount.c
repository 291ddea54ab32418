/* casgi mount -- /a=a.so /b=b.so:admin: each request goes to the application with the longest prefix of its path. */
#include "mount.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- requests ---- */

static bool under(casgi_str_t path, const struct mount *mount)
{
    return path.len >= mount->prefix_len && memcmp(path.ptr, mount->prefix, mount->prefix_len) == 0 &&
           (path.len == mount->prefix_len || path.ptr[mount->prefix_len] == '/');
}

/* The path as it is below where this application is mounted itself. */
static casgi_str_t inner_path(const casgi_scope_t *scope)
{
    casgi_str_t path = scope->path, root = scope->root_path;
    if (root.len && path.len >= root.len && memcmp(path.ptr, root.ptr, root.len) == 0) {
        path.ptr += root.len;
        path.len -= root.len;
    }
    return path;
}

static const struct mount *find(const struct mounts *mounts, casgi_str_t path)
{
    for (size_t i = 0; i < mounts->count; i++) {
        if (under(path, &mounts->items[i])) {
            return &mounts->items[i];
        }
    }
    return NULL;
}

/* root_path grows by the prefix; path stays whole (ASGI www, root_path). */
static int extend_root_path(casgi_scope_t *scope, const struct mount *mount)
{
    casgi_str_t root = scope->root_path;
    if (root.len == 0) {
        scope->root_path.ptr = mount->prefix;
        scope->root_path.len = mount->prefix_len;
        return 0;
    }
    char *longer = casgi_alloc(root.len + mount->prefix_len + 1);
    if (!longer) {
        return CASGI_ENOMEM;
    }
    memcpy(longer, root.ptr, root.len);
    memcpy(longer + root.len, mount->prefix, mount->prefix_len + 1);
    scope->root_path.ptr = longer;
    scope->root_path.len = root.len + mount->prefix_len;
    return 0;
}

static int not_found(const casgi_scope_t *scope, casgi_send_t *send)
{
    if (scope->type == CASGI_SCOPE_WEBSOCKET) {
        casgi_event_t event = CASGI_EVENT_INIT(CASGI_WEBSOCKET_CLOSE);
        return casgi_send(send, &event);
    }
    return casgi_respond(send, 404, "text/plain", "Not Found\n");
}

static int pass_on(const struct mounts *mounts, const casgi_scope_t *scope, casgi_receive_t *receive,
                   casgi_send_t *send)
{
    const struct mount *mount = find(mounts, inner_path(scope));
    uint32_t wanted = scope->type == CASGI_SCOPE_HTTP ? CASGI_APP_HTTP : CASGI_APP_WEBSOCKET;
    if (!mount || !(mount->flags & wanted)) {
        return not_found(scope, send);
    }
    casgi_scope_t inner = *scope;
    struct mount_state state;
    int rc = extend_root_path(&inner, mount);
    inner.state = mount_state_init(&state, mount, scope->state);
    return rc ? rc : casgi_call(mount->app, &inner, receive, send);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct mounts *mounts = (struct mounts *)self;
    switch (scope->type) {
    case CASGI_SCOPE_HTTP:
    case CASGI_SCOPE_WEBSOCKET:
        return pass_on(mounts, scope, receive, send);
    case CASGI_SCOPE_LIFESPAN:
        return mounts_lifespan(mounts, scope, receive, send);
    default:
        return CASGI_ENOTSUP;
    }
}

/* ---- making and ending ---- */

static void destroy(casgi_app_t *app)
{
    struct mounts *mounts = (struct mounts *)app;
    for (size_t i = 0; i < mounts->count; i++) {
        free(mounts->items[i].prefix);
    }
    free(mounts->items);
    free(mounts->order);
    free(mounts);
}

/* "/a=a.so": without a slash at the end, the root as "". */
static int parse(struct mount *mount, const char *word, casgi_error_t *error)
{
    const char *equals = strchr(word, '=');
    if (word[0] != '/' || !equals || !equals[1]) {
        return casgi_error_set(error, CASGI_EINVAL, "\"%s\" is not of the form /PREFIX=MODULE, as /a=a.so", word);
    }
    size_t size = (size_t)(equals - word);
    while (size > 0 && word[size - 1] == '/') {
        size--;
    }
    mount->spec = equals + 1;
    mount->prefix_len = size;
    mount->prefix = strndup(word, size);
    return mount->prefix ? 0 : casgi_error_set(error, CASGI_ENOMEM, "out of memory");
}

static int check_unique(const struct mounts *mounts, const struct mount *mount, casgi_error_t *error)
{
    for (size_t i = 0; i < mounts->count; i++) {
        if (strcmp(mounts->items[i].prefix, mount->prefix) == 0) {
            return casgi_error_set(error, CASGI_EINVAL, "%s/ is given twice", mount->prefix);
        }
    }
    return 0;
}

static int add(struct mounts *mounts, const casgi_modules_1_t *modules, const char *word, casgi_error_t *error)
{
    struct mount mount = { 0 };
    casgi_error_t reason;
    int rc = parse(&mount, word, error);
    rc = rc ? rc : check_unique(mounts, &mount, error);
    if (rc == 0) {
        rc = modules->load(mount.spec, 0, NULL, &mount.app, &mount.flags, &reason);
        if (rc) {
            (void)casgi_error_set(error, rc, "%s", reason.message);
        }
    }
    if (rc) {
        free(mount.prefix);
        return rc;
    }
    mounts->items[mounts->count++] = mount;
    return 0;
}

static int longer_first(const void *a, const void *b)
{
    const struct mount *one = a, *other = b;
    return one->prefix_len < other->prefix_len ? 1 : one->prefix_len > other->prefix_len ? -1 : 0;
}

/* Notes where each of the command line is found after the sorting. */
static void sort(struct mounts *mounts, char **words)
{
    qsort(mounts->items, mounts->count, sizeof(*mounts->items), longer_first);
    for (size_t i = 0; i < mounts->count; i++) {
        for (size_t k = 0; k < mounts->count; k++) {
            if (mounts->items[k].spec == strchr(words[i], '=') + 1) {
                mounts->order[i] = &mounts->items[k];
            }
        }
    }
}

static int fill(struct mounts *mounts, const casgi_host_t *host, int argc, char **argv, casgi_error_t *error)
{
    const casgi_modules_1_t *modules = host->get(host, "casgi.modules/1");
    if (!modules) {
        return casgi_error_set(error, CASGI_ENOTSUP, "this server cannot load modules for applications");
    }
    if (argc < 2) {
        return casgi_error_set(error, CASGI_EINVAL, "nothing to mount: casgi mount -- /a=a.so /b=b.so:admin");
    }
    mounts->items = calloc((size_t)argc, sizeof(*mounts->items));
    mounts->order = calloc((size_t)argc, sizeof(struct mount *));
    if (!mounts->items || !mounts->order) {
        return casgi_error_set(error, CASGI_ENOMEM, "out of memory");
    }
    int rc = 0;
    for (int i = 1; rc == 0 && i < argc; i++) {
        rc = add(mounts, modules, argv[i], error);
    }
    if (rc == 0) {
        sort(mounts, argv + 1);
    }
    return rc;
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    struct mounts *mounts = calloc(1, sizeof(*mounts));
    if (!mounts) {
        (void)casgi_error_set(out_error, CASGI_ENOMEM, "out of memory");
        return NULL;
    }
    mounts->base.call = handle;
    if (fill(mounts, host, argc, argv, out_error)) {
        destroy(&mounts->base);
        return NULL;
    }
    return &mounts->base;
}

static const char *const interfaces[] = { "casgi.modules/1", "casgi.tasks/1", NULL };

static const casgi_app_record_t record = {
    "app",
    "several modules under prefixes: casgi mount -- /a=a.so /b=b.so:admin",
    create,
    destroy,
    CASGI_APP_HTTP | CASGI_APP_WEBSOCKET | CASGI_APP_LIFESPAN,
    0,
    { 0 },
};
CASGI_MODULE_NEEDS("mount", "1.0", interfaces, &record);
