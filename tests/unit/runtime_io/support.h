/* What the tests of the world share. */
#pragma once

#include "support/real_loop.h"

/* A loop, with the interfaces of this room in casgi_imports_. */
int setup_world(void **state);

/* Fails if tasks or descriptors are left. */
int teardown_world(void **state);

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup_world, teardown_world)
