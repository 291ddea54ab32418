#include "module/elf_object.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#else
#error "casgi runs on x86-64 and arm64"
#endif

int elf_object_truncated(struct elf_object *object)
{
    return error_set(object->error, CASGI_EINVAL, "%s is truncated: it is still being written, or was copied in part",
                     object->shown);
}

int elf_object_damaged(struct elf_object *object, const char *what)
{
    return error_set(object->error, CASGI_EINVAL, "%s is damaged: %s", object->shown, what);
}

int elf_object_out_of_memory(struct elf_object *object)
{
    return error_set(object->error, CASGI_ENOMEM, "out of memory while reading %s", object->shown);
}

/* ---- the file ---- */

static int cannot_open(struct elf_object *object, int number)
{
    int code = error_from_errno(number);
    if (number == ENOENT || number == ENOTDIR) {
        return error_set(object->error, code, "%s: there is no such file", object->shown);
    }
    if (number == EACCES) {
        return error_set(object->error, code, "%s cannot be read: permission denied", object->shown);
    }
    return error_set(object->error, code, "%s cannot be opened: %s", object->shown, error_text(code));
}

static int open_file(struct elf_object *object, const char *path)
{
    /* O_NONBLOCK: opening a named pipe must not wait for a writer. */
    object->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (object->fd < 0) {
        return cannot_open(object, errno);
    }
    struct stat status;
    if (fstat(object->fd, &status) < 0) {
        return cannot_open(object, errno);
    }
    if (S_ISDIR(status.st_mode)) {
        return error_set(object->error, CASGI_EINVAL, "%s is a directory, not a module", object->shown);
    }
    if (!S_ISREG(status.st_mode)) {
        return error_set(object->error, CASGI_EINVAL, "%s is not a regular file", object->shown);
    }
    object->size = (uint64_t)status.st_size;
    return 0;
}

static bool inside(const struct elf_object *object, uint64_t offset, uint64_t size)
{
    return offset <= object->size && size <= object->size - offset;
}

int elf_object_read(struct elf_object *object, uint64_t offset, void *data, size_t size)
{
    size_t done = 0;
    if (!inside(object, offset, size)) {
        return elf_object_truncated(object);
    }
    while (done < size) {
        ssize_t n = pread(object->fd, (char *)data + done, size - done, (off_t)(offset + done));
        if (n == 0) {
            return elf_object_truncated(object);
        }
        if (n < 0 && errno != EINTR) {
            return cannot_open(object, errno);
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int elf_object_piece(struct elf_object *object, uint64_t offset, uint64_t size, void *out_data)
{
    if (!inside(object, offset, size)) {
        return elf_object_truncated(object);
    }
    char *data = malloc(size + 1);
    if (!data) {
        return elf_object_out_of_memory(object);
    }
    int rc = elf_object_read(object, offset, data, size);
    if (rc) {
        free(data);
        return rc;
    }
    data[size] = '\0';
    *(void **)out_data = data;
    return 0;
}

/* ---- the ELF header ---- */

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_X86_64:
        return "x86-64";
    case EM_AARCH64:
        return "arm64";
    case EM_386:
        return "32-bit x86";
    case EM_ARM:
        return "32-bit arm";
    case EM_RISCV:
        return "riscv";
    case EM_PPC64:
        return "powerpc64";
    case EM_S390:
        return "s390x";
    default:
        return "another machine";
    }
}

static int check_type(struct elf_object *object)
{
    switch (object->header.e_type) {
    case ET_DYN:
        return 0;
    case ET_REL:
        return error_set(object->error, CASGI_EINVAL, "%s is an object file, not a shared object: link it with -shared",
                         object->shown);
    case ET_EXEC:
        return error_set(object->error, CASGI_EINVAL, "%s is a program, not a shared object: link it with -shared",
                         object->shown);
    default:
        return error_set(object->error, CASGI_EINVAL, "%s is not a shared object", object->shown);
    }
}

static int check_machine(struct elf_object *object)
{
    const unsigned char *ident = object->header.e_ident;
    if (ident[EI_CLASS] == ELFCLASS32 || (ident[EI_CLASS] == ELFCLASS64 && ident[EI_DATA] == ELFDATA2MSB)) {
        return error_set(object->error, CASGI_EINVAL, "%s is built for a %s machine; this casgi runs on %s",
                         object->shown, ident[EI_CLASS] == ELFCLASS32 ? "32-bit" : "big-endian",
                         machine_name(OWN_MACHINE));
    }
    if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB || ident[EI_VERSION] != EV_CURRENT) {
        return elf_object_damaged(object, "its ELF header makes no sense");
    }
    if (object->header.e_machine != OWN_MACHINE) {
        return error_set(object->error, CASGI_EINVAL, "%s is built for %s; this casgi runs on %s", object->shown,
                         machine_name(object->header.e_machine), machine_name(OWN_MACHINE));
    }
    return 0;
}

static int read_header(struct elf_object *object)
{
    size_t size = object->size < sizeof(object->header) ? (size_t)object->size : sizeof(object->header);
    if (size == 0) {
        return error_set(object->error, CASGI_EINVAL, "%s is empty: it is still being written, or its build failed",
                         object->shown);
    }
    int rc = elf_object_read(object, 0, &object->header, size);
    if (rc) {
        return rc;
    }
    if (size < SELFMAG || memcmp(object->header.e_ident, ELFMAG, SELFMAG) != 0) {
        return error_set(object->error, CASGI_EINVAL, "%s is not a shared object: it is not an ELF file",
                         object->shown);
    }
    if (size < sizeof(object->header)) {
        return elf_object_truncated(object);
    }
    rc = check_machine(object);
    return rc ? rc : check_type(object);
}

/* ---- segments ---- */

static int check_sections(struct elf_object *object)
{
    const Elf64_Ehdr *header = &object->header;
    uint64_t size = (uint64_t)header->e_shnum * header->e_shentsize;
    /* The loader does not need them, but the linker writes them last: they tell that the file is whole. */
    return header->e_shoff && !inside(object, header->e_shoff, size) ? elf_object_truncated(object) : 0;
}

static int read_segments(struct elf_object *object)
{
    const Elf64_Ehdr *header = &object->header;
    if (header->e_phnum == 0 || header->e_phentsize != sizeof(Elf64_Phdr)) {
        return elf_object_damaged(object, "it has no program headers");
    }
    int rc =
        elf_object_piece(object, header->e_phoff, (uint64_t)header->e_phnum * sizeof(Elf64_Phdr), &object->segments);
    for (size_t i = 0; rc == 0 && i < header->e_phnum; i++) {
        const Elf64_Phdr *segment = &object->segments[i];
        if (!inside(object, segment->p_offset, segment->p_filesz)) {
            rc = elf_object_truncated(object);
        } else if (segment->p_type == PT_LOAD && segment->p_memsz < segment->p_filesz) {
            rc = elf_object_damaged(object, "a segment is larger in the file than in memory");
        }
    }
    return rc ? rc : check_sections(object);
}

int elf_object_locate(struct elf_object *object, uint64_t address, uint64_t *out_offset, uint64_t *out_size)
{
    for (size_t i = 0; i < object->header.e_phnum; i++) {
        const Elf64_Phdr *segment = &object->segments[i];
        if (segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
            address - segment->p_vaddr < segment->p_filesz) {
            *out_offset = segment->p_offset + (address - segment->p_vaddr);
            *out_size = segment->p_filesz - (address - segment->p_vaddr);
            return 0;
        }
    }
    return elf_object_damaged(object, "its dynamic section points outside of it");
}

/* ---- the dynamic section ---- */

static int read_dynamic(struct elf_object *object)
{
    for (size_t i = 0; i < object->header.e_phnum; i++) {
        const Elf64_Phdr *segment = &object->segments[i];
        if (segment->p_type == PT_DYNAMIC) {
            object->dynamic_count = segment->p_filesz / sizeof(Elf64_Dyn);
            return elf_object_piece(object, segment->p_offset, segment->p_filesz, &object->dynamic);
        }
    }
    return elf_object_damaged(object, "it has no dynamic section");
}

bool elf_object_dynamic(const struct elf_object *object, int64_t tag, uint64_t *out_value)
{
    for (size_t i = 0; i < object->dynamic_count && object->dynamic[i].d_tag != DT_NULL; i++) {
        if (object->dynamic[i].d_tag == tag) {
            *out_value = object->dynamic[i].d_un.d_val;
            return true;
        }
    }
    return false;
}

static int read_texts(struct elf_object *object)
{
    uint64_t address, size, offset, room;
    if (!elf_object_dynamic(object, DT_STRTAB, &address) || !elf_object_dynamic(object, DT_STRSZ, &size)) {
        return elf_object_damaged(object, "it has no dynamic string table");
    }
    int rc = elf_object_locate(object, address, &offset, &room);
    if (rc) {
        return rc;
    }
    object->texts_size = size;
    return size > room ? elf_object_truncated(object) : elf_object_piece(object, offset, size, &object->texts);
}

const char *elf_object_text(const struct elf_object *object, uint64_t offset)
{
    return offset < object->texts_size ? object->texts + offset : "";
}

static int check_program(struct elf_object *object)
{
    uint64_t flags;
    if (elf_object_dynamic(object, DT_FLAGS_1, &flags) && (flags & DF_1_PIE)) {
        return error_set(object->error, CASGI_EINVAL, "%s is a program, not a shared object: link it with -shared",
                         object->shown);
    }
    return 0;
}

void elf_object_close(struct elf_object *object)
{
    free(object->segments);
    free(object->dynamic);
    free(object->symbols);
    free(object->texts);
    if (object->fd >= 0) {
        (void)close(object->fd);
    }
}

int elf_object_open(struct elf_object *object, const char *path)
{
    int (*const steps[])(struct elf_object *) = { read_header, read_segments, read_dynamic, check_program, read_texts };
    int rc = open_file(object, path);
    for (size_t i = 0; rc == 0 && i < sizeof(steps) / sizeof(steps[0]); i++) {
        rc = steps[i](object);
    }
    return rc;
}
