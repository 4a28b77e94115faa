/* What the kernel and the processor need for one step, without any of the runtime.
 *
 *   floor MODE ROUNDS WARMUP BYTES CPU CPU CPU
 *
 * Three processes stand for worker, dispatcher and quantum runtime. A round is one step: worker to dispatcher to
 * quantum runtime and back, four messages. MODE says how a message travels: `seqpacket` (a Unix socket), `futex` (a
 * word in shared memory, the receiver asleep) or `spin` (the same, the receiver watching it). CPU is where each
 * process runs, -1 for anywhere. Each round's nanoseconds are printed on a line of their own. */

#define _GNU_SOURCE
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_BYTES = 65536, SPINS_BEFORE_YIELD = 256 };

/* One direction between two processes; on a cache line of its own. */
typedef struct {
    _Alignas(128) atomic_uint posted;
} Line;

typedef struct {
    Line to_dispatcher, to_quantum, from_quantum, to_worker;
} Shared;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void stay_on(int cpu) {
    cpu_set_t set;
    if (cpu < 0) return;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set)) fail("sched_setaffinity");
}

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---------------------------------------------------------------- sockets */

static void transfer(int from, int to, char *buffer, size_t bytes) {
    if (recv(from, buffer, MOST_BYTES, 0) != (ssize_t)bytes) exit(1);
    if (send(to, buffer, bytes, MSG_NOSIGNAL) != (ssize_t)bytes) exit(1);
}

static void socket_child(int first, int second, long rounds, size_t bytes) {
    static char buffer[MOST_BYTES];
    for (long round = 0; round < rounds; round++) {
        transfer(first, second, buffer, bytes);
        if (first != second) transfer(second, first, buffer, bytes);
    }
    exit(0);
}

static void socket_round(int fd, char *buffer, size_t bytes) {
    if (send(fd, buffer, bytes, MSG_NOSIGNAL) != (ssize_t)bytes) fail("send");
    if (recv(fd, buffer, MOST_BYTES, 0) != (ssize_t)bytes) fail("recv");
}

/* ---------------------------------------------------------------- shared memory */

static void post(Line *line, unsigned value, int spin) {
    atomic_store_explicit(&line->posted, value, memory_order_release);
    if (!spin) syscall(SYS_futex, &line->posted, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void await(Line *line, unsigned value, int spin) {
    for (unsigned spins = 1;; spins++) {
        unsigned seen = atomic_load_explicit(&line->posted, memory_order_acquire);
        if (seen == value) return;
        if (!spin)
            syscall(SYS_futex, &line->posted, FUTEX_WAIT, seen, NULL, NULL, 0);
        else if (spins % SPINS_BEFORE_YIELD == 0)
            sched_yield(); /* with fewer cores than processes, whoever is waited for must get to run */
        else
            pause_briefly();
    }
}

static void memory_child(Shared *shared, int dispatcher, unsigned rounds, int spin) {
    for (unsigned round = 1; round <= rounds; round++) {
        if (dispatcher) {
            await(&shared->to_dispatcher, round, spin);
            post(&shared->to_quantum, round, spin);
            await(&shared->from_quantum, round, spin);
            post(&shared->to_worker, round, spin);
        } else {
            await(&shared->to_quantum, round, spin);
            post(&shared->from_quantum, round, spin);
        }
    }
    exit(0);
}

/* ---------------------------------------------------------------- the three processes */

int main(int count, char **arguments) {
    if (count != 8) {
        fprintf(stderr, "usage: floor MODE ROUNDS WARMUP BYTES CPU CPU CPU\n");
        return 2;
    }
    int sockets = !strcmp(arguments[1], "seqpacket"), spin = !strcmp(arguments[1], "spin");
    long rounds = atol(arguments[2]), warmup = atol(arguments[3]), all = rounds + warmup;
    size_t bytes = (size_t)atol(arguments[4]);
    if (bytes < 1 || bytes > MOST_BYTES || rounds < 1 || warmup < 0) return 2;
    int worker[2], quantum[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, worker) || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, quantum))
        fail("socketpair");
    Shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    long long *times = malloc(sizeof *times * (size_t)rounds);
    if (shared == MAP_FAILED || !times) fail("memory");
    memset(times, 0, sizeof *times * (size_t)rounds); /* so that no page is missing while time is taken */

    for (int dispatcher = 1; dispatcher >= 0; dispatcher--) {
        pid_t pid = fork();
        if (pid < 0) fail("fork");
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            stay_on(atoi(arguments[dispatcher ? 6 : 7]));
            /* Only its own ends: who is left alone sees its channel close. */
            close(worker[0]);
            if (dispatcher) {
                close(quantum[1]);
            } else {
                close(worker[1]);
                close(quantum[0]);
            }
            if (!sockets) memory_child(shared, dispatcher, (unsigned)all, spin);
            if (dispatcher) socket_child(worker[1], quantum[0], all, bytes);
            socket_child(quantum[1], quantum[1], all, bytes);
        }
    }
    close(worker[1]);
    close(quantum[0]);
    close(quantum[1]);
    stay_on(atoi(arguments[5]));

    static char buffer[MOST_BYTES];
    for (long round = 0; round < all; round++) {
        long long start = now();
        if (sockets) {
            socket_round(worker[0], buffer, bytes);
        } else {
            post(&shared->to_dispatcher, (unsigned)round + 1, spin);
            await(&shared->to_worker, (unsigned)round + 1, spin);
        }
        if (round >= warmup) times[round - warmup] = now() - start;
    }
    for (int child = 0; child < 2; child++) wait(NULL);
    for (long round = 0; round < rounds; round++) printf("%lld\n", times[round]);
    return 0;
}
