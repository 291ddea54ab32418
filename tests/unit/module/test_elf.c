/* The file is read before anything of it is loaded: each way in which it can be wrong has its own sentence. */
#include "files.h"

#include "module/elf.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void assert_refused(const char *path, const char *part)
{
    casgi_error_t error = { 0 };
    struct elf_info info = { 0 };
    assert_true(elf_read(path, NULL, &info, &error) < 0);
    assert_true(error.code < 0);
    assert_contains(error.message, path);
    assert_contains(error.message, part);
}

/* good.so with one field of its ELF header changed. */
static const char *with_header(void **state, void (*change)(Elf64_Ehdr *header))
{
    const char *path = path_in(state, "header.so");
    struct image image = image_read(GOOD);
    change((Elf64_Ehdr *)(void *)image.bytes);
    image_write(&image, image.size, path);
    image_free(&image);
    return path;
}

static const char *with_text(void **state, const char *text)
{
    const char *path = path_in(state, "text.so");
    struct image image = { (char *)(uintptr_t)text, strlen(text) };
    image_write(&image, image.size, path);
    return path;
}

static void test_elf__a_module_is_accepted(void **state)
{
    (void)state;
    casgi_error_t error = { 0 };
    struct elf_info info = { 0 };
    assert_int_equal(elf_read(GOOD, NULL, &info, &error), 0);
    assert_true(info.needed.count > 0);
    assert_true(info.imports.count > 0);
    elf_info_release(&info);
}

static void test_elf__other_exports_are_listed(void **state)
{
    (void)state;
    casgi_error_t error = { 0 };
    struct elf_info info = { 0 };
    bool found = false;
    assert_int_equal(elf_read("fixtures/module/exports.so", NULL, &info, &error), 0);
    for (size_t i = 0; i < info.exports.count; i++) {
        found = found || strcmp(info.exports.items[i], "boil_water") == 0;
    }
    assert_true(found);
    elf_info_release(&info);
}

static void test_elf__messages_use_the_shown_name(void **state)
{
    (void)state;
    casgi_error_t error = { 0 };
    struct elf_info info = { 0 };
    assert_int_equal(elf_read("no/such.so", "the module", &info, &error), CASGI_ENOENT);
    assert_contains(error.message, "the module: there is no such file");
}

static void test_elf__no_such_file(void **state)
{
    assert_refused(path_in(state, "absent.so"), "there is no such file");
}

static void test_elf__a_directory(void **state)
{
    assert_refused(*state, "is a directory");
}

static void test_elf__not_a_regular_file(void **state)
{
    const char *path = path_in(state, "pipe.so");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(path, "is not a regular file");
}

static void test_elf__not_readable(void **state)
{
    const char *path = with_text(state, "secret");
    assert_int_equal(chmod(path, 0), 0);
    assert_int_equal(chmod(*state, 0755), 0);
    bool root = geteuid() == 0;
    assert_true(!root || seteuid(65534) == 0); /* root may read everything */
    casgi_error_t error = { 0 };
    struct elf_info info = { 0 };
    int rc = elf_read(path, NULL, &info, &error);
    assert_true(!root || seteuid(0) == 0);
    assert_int_equal(rc, CASGI_EACCES);
    assert_contains(error.message, "cannot be read: permission denied");
}

static void test_elf__an_empty_file(void **state)
{
    assert_refused(with_text(state, ""), "is empty");
}

static void test_elf__not_elf(void **state)
{
    assert_refused(with_text(state, "#!/bin/sh\nexit 0\n"), "not an ELF file");
}

static void test_elf__shorter_than_its_magic(void **state)
{
    assert_refused(with_text(state, "\177E"), "not an ELF file");
}

static void be_32_bit(Elf64_Ehdr *header)
{
    header->e_ident[EI_CLASS] = ELFCLASS32;
}

static void test_elf__a_32_bit_object(void **state)
{
    assert_refused(with_header(state, be_32_bit), "is built for a 32-bit machine");
}

static void be_big_endian(Elf64_Ehdr *header)
{
    header->e_ident[EI_DATA] = ELFDATA2MSB;
}

static void test_elf__a_big_endian_object(void **state)
{
    assert_refused(with_header(state, be_big_endian), "is built for a big-endian machine");
}

static void be_nonsense(Elf64_Ehdr *header)
{
    header->e_ident[EI_CLASS] = 77;
}

static void test_elf__a_class_that_does_not_exist(void **state)
{
    assert_refused(with_header(state, be_nonsense), "is damaged");
}

static void be_riscv(Elf64_Ehdr *header)
{
    header->e_machine = EM_RISCV;
}

static void test_elf__the_wrong_architecture_is_named(void **state)
{
    assert_refused(with_header(state, be_riscv), "is built for riscv; this casgi runs on ");
}

static void be_object_file(Elf64_Ehdr *header)
{
    header->e_type = ET_REL;
}

static void test_elf__an_object_file(void **state)
{
    assert_refused(with_header(state, be_object_file), "is an object file");
}

static void be_program(Elf64_Ehdr *header)
{
    header->e_type = ET_EXEC;
}

static void test_elf__a_program(void **state)
{
    assert_refused(with_header(state, be_program), "is a program");
}

static void test_elf__a_position_independent_program(void **state)
{
    (void)state;
    assert_refused("/proc/self/exe", "is a program");
}

static void have_no_segments(Elf64_Ehdr *header)
{
    header->e_phnum = 0;
}

static void test_elf__no_program_headers(void **state)
{
    assert_refused(with_header(state, have_no_segments), "is damaged: it has no program headers");
}

static void have_segments_elsewhere(Elf64_Ehdr *header)
{
    header->e_phoff = UINT64_MAX - 8;
}

static void test_elf__program_headers_outside_of_the_file(void **state)
{
    assert_refused(with_header(state, have_segments_elsewhere), "is truncated");
}

static void test_elf__truncated_anywhere(void **state)
{
    const char *path = path_in(state, "short.so");
    struct image image = image_read(GOOD);
    for (size_t size = 4; size < image.size; size += size < 4096 ? 61 : 997) {
        image_write(&image, size, path);
        assert_refused(path, "is truncated");
    }
    image_write(&image, image.size - 1, path);
    assert_refused(path, "is truncated");
    image_free(&image);
}

static void test_elf__without_the_record(void **state)
{
    assert_refused(changed_module(state, "casgi_module_1", "casgi_moduls_1"),
                   "is not a casgi module: it exports no casgi_module_1");
}

static void test_elf__another_major_is_named(void **state)
{
    assert_refused(changed_module(state, "casgi_module_1", "casgi_module_7"), "is built for ABI major 7");
}

/* Whatever stands in the file, reading it ends, within its bounds (which the sanitizers watch). */
static void test_elf__damaged_bytes_do_no_harm(void **state)
{
    const char *path = path_in(state, "random.so");
    struct image image = image_read(GOOD);
    unsigned seed = 1;
    for (int round = 0; round < 300; round++) {
        size_t at[4];
        char kept[4];
        for (size_t i = 0; i < 4; i++) {
            at[i] = (size_t)rand_r(&seed) % (round % 2 ? image.size : 4096);
            kept[i] = image.bytes[at[i]];
            image.bytes[at[i]] = (char)rand_r(&seed);
        }
        image_write(&image, image.size, path);
        struct elf_info info = { 0 };
        casgi_error_t error = { 0 };
        if (elf_read(path, NULL, &info, &error) == 0) {
            elf_info_release(&info);
        } else {
            assert_true(error.message[0] != '\0');
        }
        for (size_t i = 4; i-- > 0;) {
            image.bytes[at[i]] = kept[i];
        }
    }
    image_free(&image);
}

#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, setup_folder, teardown_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elf__a_module_is_accepted),
        cmocka_unit_test(test_elf__other_exports_are_listed),
        cmocka_unit_test(test_elf__messages_use_the_shown_name),
        FOLDER_TEST(test_elf__no_such_file),
        FOLDER_TEST(test_elf__a_directory),
        FOLDER_TEST(test_elf__not_a_regular_file),
        FOLDER_TEST(test_elf__not_readable),
        FOLDER_TEST(test_elf__an_empty_file),
        FOLDER_TEST(test_elf__not_elf),
        FOLDER_TEST(test_elf__shorter_than_its_magic),
        FOLDER_TEST(test_elf__a_32_bit_object),
        FOLDER_TEST(test_elf__a_big_endian_object),
        FOLDER_TEST(test_elf__a_class_that_does_not_exist),
        FOLDER_TEST(test_elf__the_wrong_architecture_is_named),
        FOLDER_TEST(test_elf__an_object_file),
        FOLDER_TEST(test_elf__a_program),
        cmocka_unit_test(test_elf__a_position_independent_program),
        FOLDER_TEST(test_elf__no_program_headers),
        FOLDER_TEST(test_elf__program_headers_outside_of_the_file),
        FOLDER_TEST(test_elf__truncated_anywhere),
        FOLDER_TEST(test_elf__without_the_record),
        FOLDER_TEST(test_elf__another_major_is_named),
        FOLDER_TEST(test_elf__damaged_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
