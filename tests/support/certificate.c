#include "support/certificate.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void add_extension(X509 *to, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    X509_add_ext(to, extension, -1);
    X509_EXTENSION_free(extension);
}

static void fill(X509 *x509, EVP_PKEY *key)
{
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key);
    X509_NAME *name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"casgi test", -1, -1, 0);
    X509_set_issuer_name(x509, name);
    add_extension(x509, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(x509, NID_subject_alt_name, "DNS:server.test,DNS:localhost,IP:127.0.0.1");
    X509_sign(x509, key, EVP_sha256());
}

static int write_file(struct certificate *certificate)
{
    (void)snprintf(certificate->path, sizeof(certificate->path), P_tmpdir "/casgi-test-XXXXXX");
    int fd = mkstemp(certificate->path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) {
        return -1;
    }
    bool written = PEM_write_X509(file, certificate->x509) &&
                   PEM_write_PrivateKey(file, certificate->key, NULL, NULL, 0, NULL, NULL);
    return fclose(file) || !written ? -1 : 0;
}

int certificate_make(struct certificate *certificate)
{
    certificate->key = EVP_EC_gen("P-256");
    certificate->x509 = X509_new();
    if (!certificate->key || !certificate->x509) {
        return -1;
    }
    fill(certificate->x509, certificate->key);
    return write_file(certificate);
}

int certificate_remove(struct certificate *certificate)
{
    X509_free(certificate->x509);
    EVP_PKEY_free(certificate->key);
    return unlink(certificate->path);
}
