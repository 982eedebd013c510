/* The origin: what it answers, and its events. */
#include "load.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct stream streams[MAX_STREAMS];
static char bulk[READ_BYTES];
static const char *coding_name;
static char **blocks;
static uint32_t *block_sizes, blocks_read;

/* Chunks that were compressed before: a size of 4 bytes, then the chunk. */
void read_blocks(const char *path, const char *coding)
{
    FILE *file = fopen(path, "rb");
    uint32_t size, room = 100000;
    if (!file)
        fail(path);
    coding_name = coding;
    blocks = calloc(room, sizeof *blocks);
    block_sizes = calloc(room, sizeof *block_sizes);
    while (blocks_read < room && fread(&size, sizeof size, 1, file) == 1) {
        blocks[blocks_read] = malloc(size);
        block_sizes[blocks_read] = size;
        if (fread(blocks[blocks_read++], 1, size, file) != size)
            fail(path);
    }
    fclose(file);
    for (int i = 0; i < wanted; i++)
        streams[i].times = calloc(blocks_read, sizeof(uint64_t));
}

uint32_t block_count(void)
{
    return blocks_read;
}

static void send_block(struct connection *c, struct stream *stream, uint32_t number)
{
    stream->written = number;
    stream->times[number] = now_ns();
    write_all(c, blocks[number], block_sizes[number]);
}

static void put_digits(char *last, int count, uint64_t value)
{
    for (; count > 0; count--, value /= 10)
        *last-- = '0' + value % 10;
}

/* One chunk of 64 bytes: "data: ", the time in 20 digits, the event's number in 10. */
static void send_plain(struct connection *c, uint32_t number)
{
    static char event[] =
        "40\r\ndata: 00000000000000000000 0000000000 "
        "........................\n\n\r\n";
    put_digits(event + 29, 20, now_ns());
    put_digits(event + 40, 10, number);
    write_all(c, event, sizeof event - 1);
}

void send_event(int number)
{
    struct stream *stream = &streams[number];
    counts.sent += mode == FANOUT ? wanted : 1;
    if (source != UPSTREAM)
        publish(++stream->written);
    else if (!stream->origin)
        counts.errors++;
    else if (mode != CODED)
        send_plain(&table[stream->origin], ++stream->written);
    else if (stream->written + 1 < blocks_read)
        send_block(&table[stream->origin], stream, stream->written + 1);
    else
        counts.errors++;
}

void end_stream(int number)
{
    struct connection *c = &table[streams[number].origin];
    if (!streams[number].origin) {
        counts.errors++;
        return;
    }
    write_all(c, "0\r\n\r\n", 5);
    if (mode == LIVES) { /* the proxy keeps the connection for another stream */
        streams[number].origin = 0;
        c->stream = -1;
        return;
    }
    drop(c); /* else a proxy would keep the connection, and its memory, for a while */
}

void write_bulk(struct connection *c)
{
    while (c->left) {
        size_t size = c->left < sizeof bulk ? c->left : sizeof bulk;
        ssize_t done = write(c->fd, bulk, size);
        if (done < 0) {
            if (errno == EAGAIN)
                watch_writable(c, 1);
            else
                drop(c);
            return;
        }
        c->left -= done;
    }
    watch_writable(c, 0);
}

static void answer_small(struct connection *c)
{
    static const char small[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
    write_all(c, small, sizeof small - 1);
}

static void answer_bulk(struct connection *c)
{
    char head[256];
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n"
                        "Content-Length: %llu\r\n\r\n",
                        (unsigned long long)body_bytes);
    write_all(c, head, size);
    c->left = body_bytes;
    write_bulk(c);
}

/* Pushpin holds the client's response open, and sends on it what is published. */
static void answer_held(struct connection *c)
{
    static const char held[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        "Cache-Control: no-cache\r\nGrip-Hold: stream\r\nGrip-Channel: bench\r\n"
        "Content-Length: 8\r\n\r\n: held\n\n";
    write_all(c, held, sizeof held - 1);
}

static void answer_stream(struct connection *c, int number)
{
    char head[256];
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                        "Cache-Control: no-cache\r\n%s%s%s%s"
                        "Transfer-Encoding: chunked\r\n\r\n",
                        coding_name ? "Content-Encoding: " : "",
                        coding_name ? coding_name : "", coding_name ? "\r\n" : "",
                        mode == ENDED ? "Connection: close\r\n" : "");
    if (number < 0 || number >= wanted) {
        counts.errors++;
        return;
    }
    upstreams++;
    write_all(c, head, size);
    c->stream = number;
    if (!streams[number].origin)
        origins_ready++;
    streams[number].origin = c->fd;
    counts.sent += mode == LIVES; /* the first event is one of the run */
    /* Node's proxies send no head before the first piece of the body. */
    if (mode == CODED)
        send_block(c, &streams[number], 0);
    else
        send_plain(c, ++streams[number].written);
}

void read_origin(struct connection *c, ssize_t size)
{
    static const char path[] = "GET /bench/";
    /* Requests are small; all end in an empty line. */
    if (size < 4 || memcmp(read_buffer + size - 4, "\r\n\r\n", 4))
        return;
    read_buffer[size] = 0;
    if (mode == REQUESTS || mode == CONNECTS)
        answer_small(c);
    else if (mode == BULK)
        answer_bulk(c);
    else if (source == GRIP)
        answer_held(c);
    else if (memcmp(read_buffer, path, sizeof path - 1) == 0)
        answer_stream(c, atoi(read_buffer + sizeof path - 1));
    else
        counts.errors++;
}
