/* TLS of the clients, by OpenSSL. Without it the load program speaks no HTTP/2. */
#include "load.h"
#include <stdlib.h>

#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define HANDSHAKE_SECONDS 10

static SSL_CTX *context;

static void tls_fail(const char *what)
{
    fprintf(stderr, "TLS: %s: %s\n", what, ERR_reason_error_string(ERR_get_error()));
    exit(1);
}

/* One cipher for all, so that none is measured with a dearer one. */
static void make_context(void)
{
    static const unsigned char protocols[] = "\x02h2";
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION)
        || !SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256")
        || SSL_CTX_set_alpn_protos(context, protocols, sizeof protocols - 1))
        tls_fail("no context");
    SSL_CTX_set_read_ahead(context, 1);
}

/* The handshake, in which the descriptor still blocks. */
void *tls_over(int fd)
{
    const unsigned char *protocol;
    unsigned size;
    struct timeval guard = {.tv_sec = HANDSHAKE_SECONDS};
    if (!context)
        make_context();
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard);
    SSL *ssl = SSL_new(context);
    if (!ssl || !SSL_set_fd(ssl, fd) || !SSL_set_tlsext_host_name(ssl, "localhost")
        || SSL_connect(ssl) != 1)
        tls_fail("handshake");
    SSL_get0_alpn_selected(ssl, &protocol, &size);
    if (size != 2 || memcmp(protocol, "h2", 2)) {
        fprintf(stderr, "no HTTP/2: the server did not choose it by ALPN\n");
        exit(1);
    }
    return ssl;
}

/* As read(2), but -1 only for later. */
ssize_t tls_read(void *tls, char *data, size_t size)
{
    ERR_clear_error();
    int got = SSL_read(tls, data, (int)size);
    if (got > 0)
        return got;
    return SSL_get_error(tls, got) == SSL_ERROR_WANT_READ ? -1 : 0;
}

/* Whether there may be more of what was read from the socket. */
int tls_has_more(void *tls)
{
    return SSL_has_pending(tls);
}

int tls_write(void *tls, const char *data, size_t size)
{
    ERR_clear_error();
    return SSL_write(tls, data, (int)size) == (int)size;
}
#else
static void *without_tls(void)
{
    fprintf(stderr, "built without TLS\n");
    exit(1);
}

void *tls_over(int fd)
{
    (void)fd;
    return without_tls();
}

ssize_t tls_read(void *tls, char *data, size_t size)
{
    (void)tls, (void)data, (void)size;
    return 0;
}

int tls_has_more(void *tls)
{
    (void)tls;
    return 0;
}

int tls_write(void *tls, const char *data, size_t size)
{
    (void)tls, (void)data, (void)size;
    return 0;
}
#endif
