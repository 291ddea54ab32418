/* The bytes of a file that is said to be a module: whatever they are, reading it ends, within bounds, with a verdict.
 */
#include "module/elf.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_of(const uint8_t *data, size_t size)
{
    int file = memfd_create("module", MFD_CLOEXEC);
    if (file < 0 || write(file, data, size) != (ssize_t)size) {
        abort();
    }
    return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    casgi_error_t error = { 0 };
    struct elf_info info = { 0 };
    int file = file_of(data, size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    if (elf_read(path, "module", &info, &error) == 0) {
        elf_info_release(&info);
    } else if (!error.message[0] || error.code >= 0) {
        abort(); /* every refusal has its sentence */
    }
    (void)close(file);
    return 0;
}
