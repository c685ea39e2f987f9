/* One datagram at a time through a way, with the processor's caches as they are or filled by others before each.
 *
 * Built as a library: gcc -O2 -shared -fPIC cold.c -o cold.so. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#define LINE 64
#define BLOCK 32

static unsigned char *data, *code;
static size_t data_bytes, code_bytes;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Get memory that is read line by line, and a chain of jumps in random order, one in each block. */
int prepare(size_t bytes_of_data, size_t bytes_of_code) {
    size_t blocks = bytes_of_code / BLOCK, i;
    if (data) munmap(data, data_bytes);
    if (code) munmap(code, code_bytes);
    data = code = NULL;
    data_bytes = bytes_of_data;
    code_bytes = bytes_of_code;
    if (data_bytes) {
        data = mmap(NULL, data_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (data == MAP_FAILED) return -1;
        memset(data, 1, data_bytes);
    }
    if (!code_bytes) return 0;
    code = mmap(NULL, code_bytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (code == MAP_FAILED) return -1;
    uint32_t *order = malloc(blocks * sizeof *order);
    for (i = 0; i < blocks; i++) order[i] = i;
    srandom(1);
    for (i = blocks - 1; i > 1; i--) { /* block 0 stays first */
        size_t j = 1 + random() % i;
        uint32_t other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
    for (i = 0; i < blocks; i++) {
        unsigned char *here = code + (size_t)order[i] * BLOCK;
        if (i + 1 == blocks) {
            here[0] = 0xc3; /* ret */
        } else {
            int32_t far = (int32_t)((int64_t)order[i + 1] * BLOCK - ((int64_t)order[i] * BLOCK + 5));
            here[0] = 0xe9; /* jmp rel32 */
            memcpy(here + 1, &far, 4);
        }
    }
    free(order);
    return 0;
}

static void fill(void) {
    volatile unsigned char *at = data;
    size_t i;
    for (i = 0; i < data_bytes; i += LINE) (void)at[i];
    if (code) ((void (*)(void))code)();
}

/* Time `rounds` datagrams from one socket to another of the same thread, a pause before each as `fill` takes. */
int probe(int from, int to, int rounds, int64_t *ns) {
    char packet[64] = {0}, got[2048];
    int i;
    for (i = 0; i < rounds; i++) {
        fill();
        int64_t start = now();
        if (send(from, packet, sizeof packet, 0) != sizeof packet) return -1;
        ns[i] = now() - start;
        if (recv(to, got, sizeof got, MSG_DONTWAIT) != sizeof packet) return -2;
    }
    return 0;
}
