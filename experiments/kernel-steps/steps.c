// Single steps of a kernel and its processor that a program can time itself, in nanoseconds.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 400 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// short rounds, most of which nothing interrupts: the tenth percentile, other programs only ever add time
static void report(const char *name, double (*step)(int), int count) {
    double found[ROUNDS];
    step(count);
    for (int i = 0; i < ROUNDS; i++) found[i] = step(count);
    qsort(found, ROUNDS, sizeof *found, by_value);
    printf("%-22s %10.2f   %10.2f to %.2f\n", name, found[ROUNDS / 10], found[ROUNDS / 100], found[ROUNDS / 4]);
}

static double cycle(int n) {
    uint64_t x = n;
    double start = now();
    for (int i = 0; i < n; i++)
        __asm__ volatile("add $1,%0\nadd $1,%0\nadd $1,%0\nadd $1,%0\nadd $1,%0\nadd $1,%0\nadd $1,%0\nadd $1,%0" : "+r"(x));
    return (now() - start) / n / 8;
}

static __attribute__((noinline)) void empty(void) { __asm__ volatile(""); }
static void (*volatile target)(void) = empty;

static double direct(int n) {
    double start = now();
    for (int i = 0; i < n; i++) empty();
    return (now() - start) / n;
}

static double indirect(int n) {
    double start = now();
    for (int i = 0; i < n; i++) target();
    return (now() - start) / n;
}

// the call through a return trampoline that kernels are compiled with (-mindirect-branch=thunk)
static __attribute__((indirect_branch("thunk-inline"))) double retpoline(int n) {
    double start = now();
    for (int i = 0; i < n; i++) target();
    return (now() - start) / n;
}

static double system_call(int n) {
    double start = now();
    for (int i = 0; i < n; i++) getppid();
    return (now() - start) / n;
}

static int there[2], back[2];

static void *echo(void *unused) {
    char c;
    (void)unused;
    while (read(there[0], &c, 1) == 1)
        if (write(back[1], &c, 1) != 1) break;
    return 0;
}

// moves the calling process into a control group, where one is given
static const char *group;
static void join_group(void) {
    FILE *tasks = group ? fopen(group, "w") : 0;
    if (!tasks) return;
    fprintf(tasks, "%d\n", getpid());
    if (fclose(tasks)) exit(1);
}

static double ping(int n) {
    char c = 0;
    double start = now();
    for (int i = 0; i < n; i++)
        if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1) exit(1);
    return (now() - start) / n / 2;
}

static double own_pipe(int n) {
    char c = 0;
    double start = now();
    for (int i = 0; i < n; i++)
        if (write(there[1], &c, 1) != 1 || read(there[0], &c, 1) != 1) exit(1);
    return (now() - start) / n;
}

static double thread_switch(int n) {
    pthread_t other;
    if (pipe(there) || pipe(back)) exit(1);
    pthread_create(&other, 0, echo, 0);
    double found = ping(n);
    close(there[1]);
    pthread_join(other, 0);
    close(there[0]), close(back[0]), close(back[1]);
    return found;
}

static double process_switch(int n) {
    if (pipe(there) || pipe(back)) exit(1);
    pid_t child = fork();
    if (!child) {
        close(there[1]);
        join_group();
        echo(0);
        _exit(0);
    }
    ping(3);
    double found = ping(n);
    close(there[1]);
    waitpid(child, 0, 0);
    close(there[0]), close(back[0]), close(back[1]);
    return found;
}

static double pipe_calls(int n) {
    if (pipe(there)) exit(1);
    double found = own_pipe(n);
    close(there[0]), close(there[1]);
    return found;
}

static int loopback(int type) {
    int s = socket(AF_INET, type, 0), size = 64 << 20;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    if (bind(s, (struct sockaddr *)&a, sizeof a)) exit(1);
    return s;
}

// datagrams read from a queue that is never empty
static double flood(int n) {
    char data[64] = {0};
    int in = loopback(SOCK_DGRAM), out = socket(AF_INET, SOCK_DGRAM, 0), sent = 0;
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    getsockname(in, (struct sockaddr *)&a, &size);
    connect(out, (struct sockaddr *)&a, size);
    for (; sent < n; sent++)
        if (send(out, data, 18, MSG_DONTWAIT) < 0) break;
    double start = now();
    int got = 0;
    while (recv(in, data, sizeof data, MSG_DONTWAIT) > 0) got++;
    double found = (now() - start) / got;
    close(in), close(out);
    return found;
}

// one byte appended to a stream that already waits: the call, without a packet
static double append(int n) {
    int listener = loopback(SOCK_STREAM), big = 64 << 20;
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    getsockname(listener, (struct sockaddr *)&a, &size);
    listen(listener, 1);
    int out = socket(AF_INET, SOCK_STREAM, 0), cork = 1;
    setsockopt(out, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
    setsockopt(out, IPPROTO_TCP, TCP_CORK, &cork, sizeof cork);
    if (connect(out, (struct sockaddr *)&a, size)) exit(1);
    int in = accept(listener, 0, 0);
    double start = now();
    for (int i = 0; i < n; i++)
        if (send(out, "x", 1, 0) != 1) exit(1);
    double found = (now() - start) / n;
    close(in), close(out), close(listener);
    return found;
}

// pages sent as one buffer over loopback, out of a file in memory or copied from the program; received, not copied out
enum { PAGE = 4096, FILE_PAGES = 32 };
static int file, pages;
static double stream_of(int n, int from_file) {
    static char data[FILE_PAGES * PAGE];
    int listener = loopback(SOCK_STREAM), one = 1;
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    getsockname(listener, (struct sockaddr *)&a, &size);
    listen(listener, 1);
    int out = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(out, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(out, (struct sockaddr *)&a, size)) exit(1);
    int in = accept(listener, 0, 0);
    double spent = 0;
    for (int i = 0; i < n; i++) {
        off_t at = (i * (off_t)pages % (FILE_PAGES - pages + 1)) * PAGE;
        long left = pages * PAGE;
        double start = now();
        long sent = from_file ? sendfile(out, file, &at, left) : send(out, data + at, left, 0);
        spent += now() - start;
        if (sent != left) exit(1);
        while (left > 0) left -= recv(in, 0, left, MSG_TRUNC);
    }
    close(in), close(out), close(listener);
    return spent / n;
}
static double from_file(int n) { return stream_of(n, 1); }
static double written(int n) { return stream_of(n, 0); }

// both ends of a connection made and closed by one thread, nothing sent: the server closes first
static double connection(int n) {
    int listener = loopback(SOCK_STREAM);
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    getsockname(listener, (struct sockaddr *)&a, &size);
    listen(listener, 16);
    double start = now();
    for (int i = 0; i < n; i++) {
        int out = socket(AF_INET, SOCK_STREAM, 0);
        struct linger hard = {1, 0};
        if (connect(out, (struct sockaddr *)&a, size)) exit(1);
        int in = accept(listener, 0, 0);
        setsockopt(out, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(in);
        close(out);
    }
    double found = (now() - start) / n;
    close(listener);
    return found;
}

static char *from, *to;
static double copy_of(int size, int n) {
    double start = now();
    for (int i = 0; i < n; i++) {
        memcpy(to, from, size);
        __asm__ volatile("" ::: "memory");
    }
    return (now() - start) / n / size;
}
static double copy_l2(int n) { return copy_of(64 << 10, n); }
static double copy_llc(int n) { return copy_of(4 << 20, n / 64 + 1); }
static double copy_dram(int n) {
    static int at;
    at = (at + (1 << 20)) % (255 << 20);
    double start = now();
    for (int i = 0; i < n; i++) memcpy(to + at, from + at, 1 << 20);
    return (now() - start) / n / (1 << 20);
}

int main(int count, char **arguments) {
    from = malloc(256 << 20), to = malloc(256 << 20);
    memset(from, 1, 256 << 20), memset(to, 1, 256 << 20);
    pin(1);
    report("cycle", cycle, 60000);
    report("call.direct", direct, 60000);
    report("call.indirect", indirect, 60000);
    report("call.retpoline", retpoline, 20000);
    report("system call", system_call, 1500);
    report("pipe write+read", pipe_calls, 250);
    report("switch.thread", thread_switch, 60);
    setvbuf(stdout, 0, _IONBF, 0);
    report("switch.process", process_switch, 60);
    if (count > 1) {
        group = arguments[1];
        report("the same, in a group", process_switch, 15);
        group = 0;
        report("and again without", process_switch, 15);
    }
    report("socket.receive.flood", flood, 400);
    report("tcp append", append, 300);
    report("tcp connect+close", connection, 8);
    char *name = "/dev/shm/netsim-steps";
    file = open(name, O_RDWR | O_CREAT, 0600);
    for (int i = 0; i < FILE_PAGES; i++)
        if (write(file, from, PAGE) != PAGE) exit(1);
    unlink(name);
    for (pages = 1; pages <= 15; pages += 7) {
        printf("%d pages: ", pages), report("sendfile", from_file, 100);
        printf("%d pages: ", pages), report("send", written, 100);
    }
    report("copy 64 KiB, byte", copy_l2, 40);
    report("copy 4 MiB, byte", copy_llc, 64);
    
    report("copy from memory, byte", copy_dram, 1);
    return 0;
}
