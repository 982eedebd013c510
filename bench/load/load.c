/* Origin and client of a measurement, in one process on one core.
 *
 * The proxy under test stands between the two and has a core to itself. Both
 * ends share one clock, so each event carries the time of its write and the
 * client takes the latency when it reads it. One epoll loop, no allocation and
 * no formatting per event: it has to cost less than any proxy it measures.
 *
 *   load streams  ORIGIN_PORT PROXY_PORT STREAMS RATE SECONDS
 *   load idle     ORIGIN_PORT PROXY_PORT STREAMS 0 0
 *   load requests ORIGIN_PORT PROXY_PORT CONNECTIONS 0 SECONDS
 *   load bulk     ORIGIN_PORT PROXY_PORT CONNECTIONS MEBIBYTES 0
 *
 * Prints READY when all is connected, then waits for a line on standard input,
 * runs, prints one line of JSON, waits for a line again, and exits. So whoever
 * started it can read the proxy's processor time at both moments.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 40000
#define HEAD_LIMIT 4096
#define EVENT_BYTES 64
#define READ_BYTES (256 * 1024)
#define GUARD_SECONDS 60

enum kind { FREE, LISTENER, ORIGIN, CLIENT };
enum mode { STREAMS, IDLE, REQUESTS, BULK };

struct connection {
    enum kind kind;
    int fd;
    int head_done;        /* the other side's head has been read */
    int kept;             /* bytes kept from the last read */
    uint64_t left;        /* bulk: bytes still to write or to read */
    uint64_t asked;       /* requests: when the request was written, ns */
    char keep[160];       /* an event, or a head's end, may be split */
};

static struct connection table[MAX_CONNECTIONS];
static int origins[MAX_CONNECTIONS], origin_count, clients_ready, wanted;
static enum mode mode;
static int poller, proxy_port;
static uint64_t sent, received, bytes_received, errors, body_bytes;
static uint32_t *latencies; /* units of 100 ns */
static size_t latency_count, latency_room;
static char read_buffer[READ_BYTES + sizeof(((struct connection *)0)->keep)];
static char bulk[READ_BYTES];
static int running;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void note_latency(uint64_t from, uint64_t to)
{
    if (latency_count < latency_room)
        latencies[latency_count++] = (uint32_t)((to - from) / 100);
}

static struct connection *add(int fd, enum kind kind, uint32_t events)
{
    if (fd >= MAX_CONNECTIONS) {
        fprintf(stderr, "too many descriptors\n");
        exit(1);
    }
    struct connection *c = &table[fd];
    memset(c, 0, sizeof *c);
    c->kind = kind;
    c->fd = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (kind != LISTENER) {
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl");
    return c;
}

static void drop(struct connection *c)
{
    /* A proxy may close what it keeps towards the origin; never a client's. */
    if (running && c->kind == CLIENT)
        errors++;
    close(c->fd);
    c->kind = FREE;
}

/* Small writes go out whole or count as errors: the buffers are never full. */
static void write_all(struct connection *c, const char *data, size_t size)
{
    if (write(c->fd, data, size) != (ssize_t)size)
        errors++;
}

static void watch(struct connection *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = c->fd};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

static void ask(struct connection *c)
{
    static const char request[] =
        "GET /bench HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n"
        "User-Agent: load\r\n\r\n";
    c->asked = now_ns();
    c->head_done = 0;
    c->kept = 0;
    write_all(c, request, sizeof request - 1);
}

static void connect_client(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(proxy_port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        fail("connect");
    ask(add(fd, CLIENT, EPOLLIN));
}

static void write_bulk(struct connection *c)
{
    while (c->left) {
        size_t size = c->left < sizeof bulk ? c->left : sizeof bulk;
        ssize_t done = write(c->fd, bulk, size);
        if (done < 0) {
            if (errno == EAGAIN)
                watch(c, EPOLLIN | EPOLLOUT);
            else
                drop(c);
            return;
        }
        c->left -= done;
    }
    watch(c, EPOLLIN);
}

static void send_event(struct connection *c)
{
    /* One chunk of 64 bytes: "data: " and the time in 20 digits, filled up. */
    static char event[] =
        "40\r\ndata: 00000000000000000000 "
        "...................................\n\n\r\n";
    uint64_t value = now_ns();
    for (int i = 29; i >= 10; i--, value /= 10)
        event[i] = '0' + value % 10;
    write_all(c, event, sizeof event - 1);
    sent++;
}

static void answer(struct connection *c)
{
    char head[256];
    if (mode == REQUESTS) {
        static const char small[] =
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
        write_all(c, small, sizeof small - 1);
    } else if (mode == BULK) {
        int size = snprintf(head, sizeof head,
                            "HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n"
                            "Content-Length: %llu\r\n\r\n",
                            (unsigned long long)body_bytes);
        write_all(c, head, size);
        c->left = body_bytes;
        write_bulk(c);
    } else {
        static const char stream[] =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
        write_all(c, stream, sizeof stream - 1);
        /* Node's proxies send no head before the first piece of the body. */
        send_event(c);
        origins[origin_count++] = c->fd;
    }
}

static void read_origin(struct connection *c, ssize_t size)
{
    /* Requests are small; all end in an empty line. */
    if (size >= 4 && memcmp(read_buffer + size - 4, "\r\n\r\n", 4) == 0)
        answer(c);
}

static void take_events(struct connection *c, ssize_t size)
{
    uint64_t now = now_ns();
    char *at = read_buffer, *end = read_buffer + size;
    for (;;) {
        char *found = memmem(at, end - at, "data: ", 6);
        if (!found)
            break;
        if (end - found < 26) {
            at = found;
            break;
        }
        uint64_t value = 0;
        for (int i = 6; i < 26; i++)
            value = value * 10 + (found[i] - '0');
        received++;
        note_latency(value, now);
        at = found + 26;
    }
    size_t rest = end - at;
    if (rest > 30) { /* nothing of a token is further back than this */
        at = end - 5;
        rest = 5;
    }
    memcpy(c->keep, at, rest);
    c->kept = rest;
}

/* Returns the offset of the body, 0 while the head is not complete. */
static ssize_t after_head(struct connection *c, ssize_t size)
{
    char *end = memmem(read_buffer, size, "\r\n\r\n", 4);
    if (end) {
        c->head_done = 1;
        return end + 4 - read_buffer;
    }
    c->kept = size < 3 ? size : 3;
    memcpy(c->keep, read_buffer + size - c->kept, c->kept);
    return 0;
}

static void read_client(struct connection *c, ssize_t size)
{
    ssize_t start = 0;
    if (!c->head_done) {
        if (memmem(read_buffer, size, "HTTP/1.1 5", 10))
            errors++;
        start = after_head(c, size);
        if (!start)
            return;
        if (mode == STREAMS || mode == IDLE)
            clients_ready++;
        c->left = mode == BULK ? body_bytes : 2;
        c->kept = 0;
    }
    size -= start;
    if (mode == STREAMS || mode == IDLE) {
        memmove(read_buffer, read_buffer + start, size);
        take_events(c, size);
        return;
    }
    bytes_received += size;
    c->left -= (uint64_t)size < c->left ? (uint64_t)size : c->left;
    if (c->left == 0) {
        received++;
        note_latency(c->asked, now_ns());
        if (running && mode == REQUESTS)
            ask(c);
    }
}

static void on_readable(struct connection *c)
{
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
    else
        read_client(c, size);
}

static void turn(int timeout_ms)
{
    struct epoll_event events[512];
    int count = epoll_wait(poller, events, 512, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct connection *c = &table[events[i].data.fd];
        if (c->kind == LISTENER) {
            int fd;
            while ((fd = accept(c->fd, NULL, NULL)) >= 0)
                add(fd, ORIGIN, EPOLLIN);
        } else if (c->kind != FREE) {
            if (c->kind == ORIGIN && c->left && events[i].events & EPOLLOUT)
                write_bulk(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                on_readable(c);
        }
    }
}

static void listen_on(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 4096) < 0)
        fail("listen");
    add(fd, LISTENER, EPOLLIN);
}

static void connect_all(void)
{
    uint64_t guard = now_ns() + GUARD_SECONDS * 1000000000ull;
    for (int i = 0; i < wanted; i++) {
        connect_client();
        /* No proxy is asked to accept more than a few at a time. */
        while (mode <= IDLE && i - clients_ready > 50) {
            turn(1);
            if (now_ns() > guard) {
                fprintf(stderr, "only %d of %d streams\n", clients_ready, wanted);
                exit(1);
            }
        }
    }
    while (mode <= IDLE && (clients_ready < wanted || origin_count < wanted)) {
        turn(1);
        if (now_ns() > guard) {
            fprintf(stderr, "only %d of %d streams\n", clients_ready, wanted);
            exit(1);
        }
    }
}

static void wait_for_line(void)
{
    /* Keep serving meanwhile: keep-alive answers, closes. */
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
    char line[16];
    uint64_t guard = now_ns() + GUARD_SECONDS * 1000000000ull;
    for (;;) {
        ssize_t size = read(0, line, sizeof line);
        if (size == 0 || size > 0 || now_ns() > guard)
            return;
        turn(1);
    }
}

static void run_streams(double rate, double seconds)
{
    double step = 1e9 / (rate * wanted);
    uint64_t began = now_ns(), end = began + (uint64_t)(seconds * 1e9);
    double next = began;
    int at = 0;
    for (uint64_t now = began; now < end; now = now_ns()) {
        while (next <= now) {
            send_event(&table[origins[at]]);
            at = (at + 1) % origin_count;
            next += step;
            turn(0);
        }
        turn(0);
    }
    uint64_t grace = now_ns() + 1000000000ull;
    while (received < sent && now_ns() < grace)
        turn(1);
}

static void run_for(double seconds)
{
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    while (now_ns() < end)
        turn(1);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double percentile(double p)
{
    if (!latency_count)
        return 0;
    size_t at = (size_t)(p * (latency_count - 1));
    return latencies[at] / 10.0; /* microseconds */
}

int main(int argc, char **argv)
{
    static const char *names[] = {"streams", "idle", "requests", "bulk"};
    if (argc != 7) {
        fprintf(stderr, "usage: load MODE ORIGIN_PORT PROXY_PORT COUNT RATE SECONDS\n");
        return 2;
    }
    for (mode = STREAMS; mode <= BULK && strcmp(argv[1], names[mode]); mode++)
        ;
    if (mode > BULK)
        return 2;
    proxy_port = atoi(argv[3]);
    wanted = atoi(argv[4]);
    double rate = atof(argv[5]), seconds = atof(argv[6]);
    latency_room = 20 * 1000 * 1000;
    latencies = malloc(latency_room * sizeof *latencies);
    poller = epoll_create1(0);
    listen_on(atoi(argv[2]));
    if (mode == BULK)
        body_bytes = (uint64_t)(rate * 1024 * 1024);
    if (mode <= IDLE)
        connect_all();
    printf("READY\n");
    fflush(stdout);
    wait_for_line();
    latency_count = received = sent = bytes_received = errors = 0;
    running = 1;
    uint64_t began = now_ns();
    if (mode == STREAMS)
        run_streams(rate, seconds);
    else if (mode == REQUESTS) {
        connect_all();
        run_for(seconds);
    } else if (mode == BULK) {
        connect_all();
        uint64_t guard = now_ns() + GUARD_SECONDS * 1000000000ull;
        while ((int)received < wanted && now_ns() < guard)
            turn(1);
    }
    running = 0;
    double took = (now_ns() - began) / 1e9;
    qsort(latencies, latency_count, sizeof *latencies, by_value);
    printf("{\"sent\": %llu, \"received\": %llu, \"bytes\": %llu, \"errors\": %llu, "
           "\"seconds\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n",
           (unsigned long long)sent, (unsigned long long)received,
           (unsigned long long)bytes_received, (unsigned long long)errors, took,
           percentile(0.5), percentile(0.99), percentile(1));
    fflush(stdout);
    wait_for_line();
    return 0;
}
