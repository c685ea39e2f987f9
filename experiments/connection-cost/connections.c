/* What a made, used and closed TCP connection costs beside a round trip on a kept one.
 *
 *   connections serve ADDRESS PORT             answers a byte with a byte; PORT keeps connections, PORT + 1 closes after one
 *   connections MODE ADDRESS PORT SECONDS      MODE: kept, acked, new, bound, ports=N, datagram
 *
 * kept: round trips on one connection. acked: the same, where the answering stack also acknowledges each request with
 * a packet of its own: the difference is a bare packet. new: socket, connect, one round trip, end of stream, close (what
 * netperf's TCP_CRR does). bound: with a port of the program's own choice (bind), as netperf has it. ports=N: connect
 * and reset alone, while N of the client's ports are taken by connections to the same address and port.
 * datagram: a UDP socket made, connected and closed, nothing sent.
 * Prints percentiles of a transaction in microseconds, of new connections the median of each call too; run both ends on
 * one core (taskset), so that nothing sleeps.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 2000000

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec * 1e-3;
}

static int smaller(const void *a, const void *b) { return (*(double *)a > *(double *)b) - (*(double *)a < *(double *)b); }

static void fail(const char *what) { perror(what); exit(1); }

static struct sockaddr_in address(const char *text, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, text, &to.sin_addr);
    return to;
}

static int listening(const char *text, int port) {
    struct sockaddr_in here = address(text, port);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&here, sizeof here) || listen(fd, 128)) fail("listen");
    return fd;
}

/* One process a port: kept connections, one request each, acknowledged at once, and connections that only stay. */
static void serve(const char *text, int port) {
    struct rlimit files = {100000, 100000};
    setrlimit(RLIMIT_NOFILE, &files);
    for (int kind = 0; kind < 4; kind++) {
        if (fork()) continue;
        int listener = listening(text, port + kind), quick = 1;
        for (;;) {
            char byte;
            int fd = accept(listener, 0, 0);
            if (kind == 3) continue;
            for (;;) {
                if (kind == 2) setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &quick, sizeof quick);
                else if (kind == 0) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &quick, sizeof quick);
                if (recv(fd, &byte, 1, 0) <= 0 || send(fd, &byte, 1, 0) < 0 || kind == 1) break;
            }
            close(fd);
        }
    }
    for (;;) pause();
}

int main(int count, char **args) {
    if (count > 3 && !strcmp(args[1], "serve")) serve(args[2], atoi(args[3]));
    if (count < 5) return 2;
    int datagram = !strcmp(args[1], "datagram"), bound = !strcmp(args[1], "bound"), one = 1;
    int taken = strncmp(args[1], "ports=", 6) ? 0 : atoi(args[1] + 6);
    int kept = !strcmp(args[1], "kept"), acked = !strcmp(args[1], "acked"), fd = -1, port = 5000 + getpid() % 20000;
    struct sockaddr_in to = address(args[2], atoi(args[3]) + (kept ? 0 : acked ? 2 : taken ? 3 : 1));
    struct linger reset = {1, 0};
    char byte = 0;
    if (taken) {
        struct rlimit files = {taken + 64, taken + 64};
        setrlimit(RLIMIT_NOFILE, &files);
        for (int i = 0; i < taken; i++) {
            int held = socket(AF_INET, SOCK_STREAM, 0);
            if (connect(held, (void *)&to, sizeof to)) fail("hold");
        }
    }
    if (kept || acked) {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(fd, (void *)&to, sizeof to)) fail("connect");
    }
    enum { SOCKET, CONNECT, EXCHANGE, CLOSE, PHASES };
    double *times = malloc(sizeof(double) * MOST), *phases[PHASES];
    for (int i = 0; i < PHASES; i++) phases[i] = malloc(sizeof(double) * MOST);
    double end = now() + atof(args[4]) * 1e6;
    long n = 0;
    for (double begin = now(); begin < end && n < MOST; n++) {
        double at[PHASES] = {begin};
        if (datagram) {
            fd = socket(AF_INET, SOCK_DGRAM, 0);
            if (connect(fd, (void *)&to, sizeof to)) fail("connect");
            close(fd);
        } else if (kept || acked) {
            if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1) fail("exchange");
        } else {
            fd = socket(AF_INET, SOCK_STREAM, 0);
            if (bound) {
                struct sockaddr_in mine = {.sin_family = AF_INET, .sin_port = htons(port)};
                port = port < 64000 ? port + 1 : 5000;
                setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
                if (bind(fd, (void *)&mine, sizeof mine)) fail("bind");
            }
            at[CONNECT] = now();
            if (connect(fd, (void *)&to, sizeof to)) fail("connect");
            at[EXCHANGE] = now();
            if (!taken) {
                if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1) fail("exchange");
                if (recv(fd, &byte, 1, 0) != 0) fail("end");
            } else {
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset); /* a reset frees the port */
            }
            at[CLOSE] = now();
            close(fd);
        }
        double later = now();
        times[n] = later - begin;
        for (int i = 0; i < PHASES; i++) phases[i][n] = (i + 1 < PHASES ? at[i + 1] : later) - at[i];
        begin = later;
    }
    qsort(times, n, sizeof *times, smaller);
    for (int i = 0; i < PHASES; i++) qsort(phases[i], n, sizeof **phases, smaller);
    printf("%-12s n %7ld  p10 %6.2f  p50 %6.2f  p90 %6.2f  p99 %7.2f", args[1], n, times[n / 10], times[n / 2], times[n * 9 / 10], times[n * 99 / 100]);
    if (!kept && !acked && !datagram)
        printf("  socket %.2f connect %.2f exchange %.2f close %.2f", phases[SOCKET][n / 2], phases[CONNECT][n / 2],
               phases[EXCHANGE][n / 2], phases[CLOSE][n / 2]);
    puts("");
    return 0;
}
