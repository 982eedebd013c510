/* TLS of the clients, by OpenSSL. Without it the load program speaks no HTTP/2, and no
 * HTTP/1.1 over TLS. */
#include "load.h"
#include <stdlib.h>

#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define HANDSHAKE_SECONDS 10
#define SESSIONS 64

static SSL_CTX *context;
static SSL_SESSION *kept[SESSIONS]; /* given out by the server, to be resumed once each */
static int kept_count;

static void tls_fail(const char *what)
{
    fprintf(stderr, "TLS: %s: %s\n", what, ERR_reason_error_string(ERR_get_error()));
    exit(1);
}

/* It comes after the handshake, with what is read. Returns 1: it is ours to free. */
static int keep_session(SSL *ssl, SSL_SESSION *given)
{
    (void)ssl;
    if (kept_count == SESSIONS)
        return 0;
    kept[kept_count++] = given;
    return 1;
}

/* One cipher for all, so that none is measured with a dearer one. */
static void make_context(const char *protocol)
{
    unsigned char protocols[16];
    size_t size = strlen(protocol);
    protocols[0] = (unsigned char)size;
    memcpy(protocols + 1, protocol, size);
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION)
        || !SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256")
        || SSL_CTX_set_alpn_protos(context, protocols, (unsigned)size + 1))
        tls_fail("no context");
    SSL_CTX_set_session_cache_mode(
        context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    SSL_CTX_set_read_ahead(context, 1);
}

/* The handshake, in which the descriptor still blocks. */
void *tls_over(int fd, const char *protocol, int resume)
{
    const unsigned char *chosen;
    unsigned size;
    struct timeval guard = {.tv_sec = HANDSHAKE_SECONDS};
    if (!context)
        make_context(protocol);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard);
    SSL *ssl = SSL_new(context);
    SSL_SESSION *earlier = resume && kept_count ? kept[--kept_count] : NULL;
    if (!ssl || !SSL_set_fd(ssl, fd) || !SSL_set_tlsext_host_name(ssl, "localhost")
        || (earlier && !SSL_set_session(ssl, earlier)) || SSL_connect(ssl) != 1)
        tls_fail("handshake");
    SSL_SESSION_free(earlier);
    counts.resumed += (uint64_t)SSL_session_reused(ssl);
    SSL_get0_alpn_selected(ssl, &chosen, &size);
    /* What a server of HTTP/1.1 says of it is no matter. */
    if (strcmp(protocol, "h2") == 0 && (size != 2 || memcmp(chosen, "h2", 2))) {
        fprintf(stderr, "no HTTP/2: the server did not choose it by ALPN\n");
        exit(1);
    }
    return ssl;
}

/* Before its descriptor is closed: the other side hears that this is all. */
void tls_end(void *tls)
{
    ERR_clear_error();
    SSL_shutdown(tls);
    SSL_free(tls);
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

void *tls_over(int fd, const char *protocol, int resume)
{
    (void)fd, (void)protocol, (void)resume;
    return without_tls();
}

void tls_end(void *tls)
{
    (void)tls;
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
