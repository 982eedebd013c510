/* Sockets and the loop. */
#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct connection table[MAX_CONNECTIONS];
char read_buffer[READ_BYTES + sizeof(((struct connection *)0)->keep) + 1];
static int poller;

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}

void fail(const char *what)
{
    perror(what);
    exit(1);
}

struct connection *add(int fd, enum kind kind)
{
    if (fd >= MAX_DESCRIPTORS) {
        fprintf(stderr, "too many descriptors\n");
        exit(1);
    }
    struct connection *c = &table[fd];
    memset(c, 0, sizeof *c);
    c->kind = kind;
    c->fd = fd;
    c->stream = -1;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (kind != LISTENER) {
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl");
    return c;
}

void drop(struct connection *c)
{
    /* A proxy may close what it keeps towards the origin; never a client's. */
    if (running && c->kind == CLIENT)
        counts.errors++;
    if (c->kind == ORIGIN && c->stream >= 0)
        streams[c->stream].origin = 0;
    if (c->kind == CLIENT)
        streams[c->stream].client = 0;
    if (c->tls)
        tls_end(c->tls);
    close(c->fd);
    c->kind = FREE;
}

/* Small writes go out whole or count as errors: the buffers are never full. */
void write_all(struct connection *c, const char *data, size_t size)
{
    if (c->tls ? !tls_write(c->tls, data, size)
               : send(c->fd, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        counts.errors++;
}

void watch_writable(struct connection *c, int writable)
{
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0)};
    event.data.fd = c->fd;
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

void listen_on(int port)
{
    poller = epoll_create1(0);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 4096) < 0)
        fail("listen");
    add(fd, LISTENER);
}

/* Records that have come, one after the other. */
static void read_records(struct connection *c)
{
    do {
        memcpy(read_buffer, c->keep, c->kept);
        ssize_t size = tls_read(c->tls, read_buffer + c->kept, READ_BYTES);
        if (size < 0)
            return;
        if (size == 0) {
            drop(c);
            return;
        }
        size += c->kept;
        c->kept = 0;
        read_client(c, size);
    } while (c->kind == CLIENT && tls_has_more(c->tls));
}

static void on_readable(struct connection *c)
{
    if (c->kind == SESSION) {
        read_session(c);
        return;
    }
    if (c->tls) {
        read_records(c);
        return;
    }
    memcpy(read_buffer, c->keep, c->kept);
    ssize_t size = read(c->fd, read_buffer + c->kept, READ_BYTES);
    if (size <= 0) {
        if (size == 0 || errno != EAGAIN)
            drop(c);
        return;
    }
    size += c->kept;
    c->kept = 0;
    if (c->kind == ORIGIN)
        read_origin(c, size);
    else if (c->kind == PUBLISHER)
        read_publisher(c, size);
    else
        read_client(c, size);
}

static void accept_all(struct connection *listener)
{
    int fd;
    while ((fd = accept(listener->fd, NULL, NULL)) >= 0)
        add(fd, ORIGIN);
    if (errno == EMFILE)
        fail("accept");
}

/* One turn of the loop; how many connections had something. */
int turn(int timeout_ms)
{
    struct epoll_event events[512];
    int count = epoll_wait(poller, events, 512, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct connection *c = &table[events[i].data.fd];
        if (c->kind == LISTENER) {
            accept_all(c);
        } else if (c->kind != FREE) {
            if (c->kind == ORIGIN && c->left && events[i].events & EPOLLOUT)
                write_bulk(c);
            if (c->kind != FREE && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                on_readable(c);
        }
    }
    return count;
}
