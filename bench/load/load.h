/* Origin and client of a measurement, in one process on one core.
 *
 * The proxy under test stands between the two and has a core to itself. Both
 * ends share one clock, so each event carries the time of its write and the
 * client takes the latency when it reads it. One epoll loop, no allocation and
 * no formatting per event: it has to cost less than any proxy it measures.
 */
#ifndef LOAD_H
#define LOAD_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define MAX_CONNECTIONS 40000
#define MAX_STREAMS 10000
#define MAX_DESCRIPTORS (MAX_CONNECTIONS - MAX_STREAMS) /* then HTTP/2 streams */
#define READ_BYTES (256 * 1024)
#define GUARD_NS 60000000000ull
#define GRACE_NS 5000000000ull /* for what is on its way at the end */

#define ID_BYTES 64

enum kind { FREE, LISTENER, ORIGIN, CLIENT, SESSION, PUBLISHER };
enum mode { STREAMS, IDLE, LOCKSTEP, CODED, FANOUT, KEPT, ENDED, LIVES,
            REQUESTS, CONNECTS, BULK, MODES };
enum source { UPSTREAM, GRIP, NCHAN, SOURCES }; /* where a fan-out's events come from */
#define IS_STREAM (mode < REQUESTS)
#define CAN_SHARE \
    (mode <= LOCKSTEP || mode == REQUESTS || mode == BULK) /* a connection of HTTP/2 */

struct connection {
    enum kind kind;
    int fd;
    int stream;           /* its number: client n asks for /bench/n */
    int head_done;        /* the other side's head has been read */
    int coded;            /* the head has a Content-Encoding */
    int kept;             /* bytes kept from the last read */
    uint32_t due;         /* number of the event that has to come next; 0: any */
    uint64_t left;        /* bulk: bytes still to write or to read */
    uint64_t asked;       /* requests: when the request was written, ns */
    void *tls;            /* the client's, else NULL */
    int session;          /* HTTP/2: of which connection it is a stream, from 1 on */
    uint32_t number;      /* HTTP/2: the stream's */
    uint32_t taken;       /* HTTP/2: bytes since its last WINDOW_UPDATE */
    char keep[160];       /* an event, or a head's end, may be split */
};

struct stream {
    int origin;           /* descriptor, 0 while there is none */
    int client;           /* likewise, of a client with a connection of its own */
    uint32_t written;     /* number of the last event; the first has 1, coded 0 */
    uint32_t before;      /* number of the last event before the run */
    char id[ID_BYTES];    /* Stream-Id of the response, empty: it had none */
    uint64_t *times;      /* coded: when each was written, ns */
};

struct counts {
    uint64_t sent, received, bytes, errors;
    uint64_t held;        /* coded: events that waited for the next one */
    uint64_t undecoded;   /* coded: reads of a body that is still coded */
    uint64_t unreadable;  /* reads without a whole event, of one that should not be */
    uint64_t doubled;     /* events that came again, or after a later one */
    uint64_t skipped;     /* events that did not come before a later one */
    uint64_t joined;      /* events that came in one read with an earlier one */
    uint64_t late;        /* events written more than 1 ms after their time */
    uint64_t late_most;   /* ns */
    uint64_t opened, ended; /* connects, lives: clients that came, and had all of it */
    uint64_t resumed;     /* handshakes that took up an earlier session */
};

extern enum mode mode;
extern enum source source;
extern int wanted, proxy_port, other_port, running, clients_ready, origins_ready;
extern int upstreams;     /* streams that the origin was asked for */
extern int named;         /* responses that had a Stream-Id */
extern const char *accepts; /* the clients' Accept */
extern int over_tls, resumes; /* clients of HTTP/1.1: TLS, and whether it is resumed */
extern uint64_t body_bytes, interval; /* ns between two events of a stream */
extern struct counts counts;
extern struct connection table[MAX_CONNECTIONS];
extern struct stream streams[MAX_STREAMS];
extern char read_buffer[READ_BYTES + sizeof(((struct connection *)0)->keep) + 1];

/* net.c */
uint64_t now_ns(void);
void fail(const char *what);
struct connection *add(int fd, enum kind kind);
void drop(struct connection *c);
void write_all(struct connection *c, const char *data, size_t size);
void watch_writable(struct connection *c, int writable);
void listen_on(int port);
int turn(int timeout_ms);

/* origin.c */
void read_blocks(const char *path, const char *coding);
uint32_t block_count(void);
void send_event(int stream);
void end_stream(int stream);
void write_bulk(struct connection *c);
void read_origin(struct connection *c, ssize_t size);

/* client.c */
void make_room(void);
int connected(int port);
void connect_client(int number);
void leave_client(struct connection *c);
void take_up(int number);
void expect_the_next(void);
void ask(struct connection *c);
void ask_again(int number);
void read_client(struct connection *c, ssize_t size);
void head_came(struct connection *c);
int take_body(struct connection *c, char *at, ssize_t size, int ended);
void forget_latencies(void);
void sort_latencies(void);
double percentile(double p);

/* publish.c */
void publish_to(int port);
void publish(uint32_t number);
void read_publisher(struct connection *c, ssize_t size);

/* tls.c */
void *tls_over(int fd, const char *protocol, int resume);
void tls_end(void *tls);
ssize_t tls_read(void *tls, char *data, size_t size);
int tls_has_more(void *tls);
int tls_write(void *tls, const char *data, size_t size);

/* http2.c */
extern int sessions_wanted; /* connections that the clients share; 0: HTTP/1.1 */
void open_sessions(int count);
struct connection *add_stream(int number);
void ask_stream(struct connection *c, const char *path);
void read_session(struct connection *c);

/* lives.c */
void come_and_go(double seconds);
void end_all(void);

/* kept.c */
extern int ends;
void leave_behind(int events);
void take_up_all(int events);
#endif
