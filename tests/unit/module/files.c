#include "files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int setup_folder(void **state)
{
    char template[] = "/tmp/casgi-module-XXXXXX";
    if (!mkdtemp(template)) {
        return -1;
    }
    *state = strdup(template);
    return *state ? 0 : -1;
}

int teardown_folder(void **state)
{
    char path[512];
    DIR *directory = opendir(*state);
    const struct dirent *entry;
    while (directory && (entry = readdir(directory)) != NULL) {
        (void)snprintf(path, sizeof(path), "%s/%s", (const char *)*state, entry->d_name);
        if (entry->d_name[0] != '.' && unlink(path) < 0) {
            (void)rmdir(path);
        }
    }
    (void)closedir(directory);
    (void)rmdir(*state);
    free(*state);
    return 0;
}

const char *path_in(void *const *state, const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", (const char *)*state, name);
    return path;
}

struct image image_read(const char *path)
{
    struct image image = { NULL, 0 };
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    image.size = (size_t)ftell(file);
    rewind(file);
    image.bytes = malloc(image.size + 1);
    assert_non_null(image.bytes);
    assert_int_equal(fread(image.bytes, 1, image.size, file), image.size);
    (void)fclose(file);
    return image;
}

void image_free(struct image *image)
{
    free(image->bytes);
    image->bytes = NULL;
}

void image_replace(struct image *image, const char *from, const char *to)
{
    size_t length = strlen(from);
    size_t count = 0;
    assert_int_equal(length, strlen(to));
    char *at = image->bytes;
    while ((at = memmem(at, image->size - (size_t)(at - image->bytes), from, length)) != NULL) {
        memcpy(at, to, length);
        at += length;
        count++;
    }
    assert_true(count > 0);
}

void image_write(const struct image *image, size_t size, const char *path)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(image->bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

const char *changed_module(void *const *state, const char *from, const char *to)
{
    const char *path = path_in(state, "changed.so");
    struct image image = image_read(GOOD);
    image_replace(&image, from, to);
    image_write(&image, image.size, path);
    image_free(&image);
    return path;
}

void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("\"%s\" is not in \"%s\"", part, text);
    }
}
