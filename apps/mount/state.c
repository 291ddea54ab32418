#include "mount.h"

#include <stdio.h>

#define KEY_MAX 256

/* "PREFIX KEY": no prefix has a blank in it that a key could not be told from, as it ends at the first. */
static int own_key(const struct mount_state *state, const char *key, char *out)
{
    int size = snprintf(out, KEY_MAX, "%s %s", state->mount->prefix, key);
    return size > 0 && size < KEY_MAX ? 0 : CASGI_ETOOBIG;
}

static void *get(casgi_state_t *self, const char *key)
{
    struct mount_state *state = (struct mount_state *)self;
    char name[KEY_MAX];
    void *value = own_key(state, key, name) == 0 ? state->outer->get(state->outer, name) : NULL;
    return value ? value : state->outer->get(state->outer, key);
}

static int set(casgi_state_t *self, const char *key, void *value)
{
    struct mount_state *state = (struct mount_state *)self;
    char name[KEY_MAX];
    int rc = own_key(state, key, name);
    return rc ? rc : state->outer->set(state->outer, name, value);
}

casgi_state_t *mount_state_init(struct mount_state *state, const struct mount *mount, casgi_state_t *outer)
{
    state->base.get = get;
    state->base.set = set;
    state->outer = outer;
    state->mount = mount;
    return outer ? &state->base : NULL;
}
