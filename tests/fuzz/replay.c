/* Runs a fuzzer's entry point over every file of a corpus, so that what fuzzing once found stays found. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input lies in memory of exactly its size, so that a sanitizer sees a byte read too many. */
static int replay_file(const char *path)
{
    struct stat about;
    int rc = -1;
    uint8_t *data = NULL;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &about) != 0) {
        perror(path);
        goto out;
    }
    size_t size = (size_t)about.st_size;
    data = malloc(size);
    if ((!data && size > 0) || fread(data, 1, size, file) != size) {
        perror(path);
        goto out;
    }
    rc = LLVMFuzzerTestOneInput(data, size);
out:
    free(data);
    if (file) {
        fclose(file);
    }
    return rc;
}

static int replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) {
        perror(path);
        return -1;
    }
    int count = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[4096];
        int length = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_type != DT_REG || length >= (int)sizeof name) {
            continue;
        }
        if (replay_file(name) != 0) {
            fprintf(stderr, "%s: refused\n", name);
            count = -1;
            break;
        }
        count++;
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    int count = replay_folder(argv[1]);
    printf("%d inputs\n", count);
    return count > 0 ? 0 : 1;
}
