#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];

int folder_set_up(void **state)
{
    char made[] = "/tmp/casgi-supervisor-XXXXXX";
    (void)state;
    if (!mkdtemp(made)) {
        return -1;
    }
    memcpy(path, made, sizeof(made));
    return 0;
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(name);
}

void remove_all(const char *name)
{
    assert_int_equal(nftw(name, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

int folder_tear_down(void **state)
{
    (void)state;
    remove_all(path);
    return 0;
}

const char *folder(void)
{
    return path;
}

const char *in_folder(const char *name)
{
    static char names[10][512];
    static unsigned next;
    char *place = names[next++ % 10];
    snprintf(place, sizeof(names[0]), "%s/%s", path, name);
    return place;
}

void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

void replace_file(const char *name, const char *text)
{
    char temporary[600];
    snprintf(temporary, sizeof(temporary), "%s.new~", name);
    write_file(temporary, text);
    assert_int_equal(rename(temporary, name), 0);
}

void make_folder(const char *name)
{
    assert_int_equal(mkdir(name, 0700), 0);
}
