/* support/certificate.h: a certificate that vouches for itself. A test that uses it is linked with -lssl -lcrypto. */
#pragma once

#include <openssl/ssl.h>

struct certificate {
    X509 *x509;
    EVP_PKEY *key;
    char path[128]; /* of a file with both, PEM */
};

/* For "server.test", "localhost" and 127.0.0.1, valid for an hour. -1: it could not be made, or written. */
int certificate_make(struct certificate *certificate);

/* Frees it and removes the file. */
int certificate_remove(struct certificate *certificate);
