#include "supervisor/hash.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* The FNV prime and offset basis of 128 bits. */
#define PRIME (((unsigned __int128)1 << 88) + 0x13b)
#define BASIS (((unsigned __int128)0x6c62272e07bb0142 << 64) + 0x62b821756295c58d)

void hash_init(struct hash *hash)
{
    hash->state = BASIS;
}

void hash_add(struct hash *hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++) {
        hash->state = (hash->state ^ bytes[i]) * PRIME;
    }
}

void hash_add_text(struct hash *hash, const char *text)
{
    if (text) {
        hash_add(hash, text, strlen(text) + 1);
    } else {
        hash_add(hash, "\xff", 2);
    }
}

int hash_add_file(struct hash *hash, const char *path)
{
    char buffer[16384];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_from_errno(errno);
    }
    do {
        n = read(fd, buffer, sizeof(buffer));
        hash_add(hash, buffer, n > 0 ? (size_t)n : 0);
    } while (n > 0 || (n < 0 && errno == EINTR));
    int rc = n < 0 ? error_from_errno(errno) : 0;
    close(fd);
    return rc;
}

void hash_text(const struct hash *hash, char out[HASH_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < HASH_TEXT_SIZE - 1; i++) {
        out[i] = digits[(unsigned)(hash->state >> (124 - 4 * i)) & 15];
    }
    out[HASH_TEXT_SIZE - 1] = '\0';
}
