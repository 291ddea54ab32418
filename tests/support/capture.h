/* Redirects a descriptor of this process for the length of a test and reads back what was written to it. */
#pragma once

#include <stddef.h>

struct capture {
    int fd;    /* the redirected number */
    int saved; /* where it pointed before */
    int read;  /* our end; -1: closed or a file */
};

void capture_pipe(struct capture *capture, int fd);                       /* to a pipe, blocking */
void capture_to(struct capture *capture, int fd, int target);             /* to `target`, which stays the caller's */
size_t capture_read(struct capture *capture, char *out, size_t capacity); /* what is there now, NUL-terminated */
void capture_end(struct capture *capture);                                /* as it was before */
