/* supervisor/supervisor.h: what runs with --reload. It binds the sockets, starts workers that inherit them, watches,
 * builds and replaces workers; it never runs application code.
 *
 *   main -> supervisor_run -> [poll] -> signals   SIGINT, SIGTERM: everything ends; SIGHUP: reload; SIGCHLD
 *                                    -> watch     a file was saved ----------------> reload
 *                                    -> build     the compiler ended --------------> reload
 *                                    -> control   a worker is ready, has failed ---> reload
 */
#pragma once

#include <stdbool.h>

struct config;

struct supervisor_options {
    const struct config *config;
    const char *path; /* the module, or its source */
    bool source;      /* it is to be compiled */
    bool cxx;
    char *const *argv; /* as this program was started, for its workers */
    char *const *environment;
};

/* Runs until told to end. Returns the exit code. */
int supervisor_run(const struct supervisor_options *options);
