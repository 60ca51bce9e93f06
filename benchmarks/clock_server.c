/* A server that costs much less than any client, answers after an exact delay, and knows when each request arrived.

       clock_server DELAY_MS MOMENTS REFUSE_AT RETRY_AFTER_S

   Listens on a free port of 127.0.0.1 and prints it. Every request is answered with the platform's "ok", but number
   REFUSE_AT (0 = none) with 429 and Retry-After. Ends when its standard input ends, and then writes to the file MOMENTS a
   line for each request: when the kernel received it, seconds since 1970, so that a server which was late to look does not
   make a request late; sorted they are the moments of arrival.
   Never: keeps a request, or reads more of it than its length. Linux only (epoll, timerfd). */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 4096, REQUEST_BYTES = 8192, TELL_TIMER = CONNECTIONS, TELL_LISTENER, TELL_INPUT };

static const char OK[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 29\r\n\r\n"
                         "{\"error\":0,\"error_text\":\"ok\"}";
static const char REFUSAL[] = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n"
                              "Content-Length: 46\r\nRetry-After: %d\r\n\r\n"
                              "{\"error\":429,\"error_text\":\"Too many requests\"}";

struct connection {
    unsigned opened; /* how often this place was taken: an answer for an earlier one is dropped */
    size_t filled;
    char bytes[REQUEST_BYTES];
};
struct owed { /* an answer that has to wait; all wait equally long, so the first in is the first out */
    double due_s;
    int fd;
    unsigned opened;
    int refused;
};

static struct connection connections[CONNECTIONS];
static struct owed owed[CONNECTIONS];
static size_t owed_first, owed_count;
static double *moments;
static size_t moments_count, moments_room;
static double delay_s;
static size_t refuse_at;
static int retry_after_s, poller, timer;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void watch(int fd, uint32_t tell) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = tell};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

static void wake_at(double moment_s) {
    struct itimerspec at = {.it_value = {(time_t)moment_s, (long)((moment_s - (time_t)moment_s) * 1e9)}};
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL)) fail("timerfd_settime");
}

static void answer(int fd, int refused) {
    char refusal[sizeof REFUSAL + 16];
    int length = refused ? snprintf(refusal, sizeof refusal, REFUSAL, retry_after_s) : (int)sizeof OK - 1;
    if (send(fd, refused ? refusal : OK, length, MSG_NOSIGNAL) != length) shutdown(fd, SHUT_RDWR);
}

static void arrived(int fd, double moment_s) {
    if (moments_count == moments_room) {
        moments_room = moments_room ? 2 * moments_room : 65536;
        if (!(moments = realloc(moments, moments_room * sizeof *moments))) fail("realloc");
    }
    moments[moments_count++] = moment_s;
    int refused = moments_count == refuse_at;
    if (delay_s == 0) {
        answer(fd, refused);
        return;
    }
    if (owed_count == CONNECTIONS) fail("more requests than connections");
    owed[(owed_first + owed_count++) % CONNECTIONS] =
        (struct owed){now_s() + delay_s, fd, connections[fd].opened, refused};
    if (owed_count == 1) wake_at(owed[owed_first].due_s);
}

static void pay(void) {
    uint64_t times;
    if (read(timer, &times, sizeof times) < 0 && errno != EAGAIN) fail("timer");
    double now = now_s();
    while (owed_count && owed[owed_first].due_s <= now) {
        struct owed next = owed[owed_first];
        owed_first = (owed_first + 1) % CONNECTIONS;
        owed_count--;
        if (connections[next.fd].opened == next.opened) answer(next.fd, next.refused);
    }
    if (owed_count) wake_at(owed[owed_first].due_s);
}

static size_t whole_request(struct connection *at) { /* its length; 0 when there is more to come */
    at->bytes[at->filled] = 0;
    char *end = strstr(at->bytes, "\r\n\r\n");
    if (!end) return 0;
    char *length = strcasestr(at->bytes, "\r\ncontent-length:");
    size_t whole = end + 4 - at->bytes + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
    return whole <= at->filled ? whole : 0;
}

static ssize_t receive(int fd, double *moment_s) {
    struct connection *at = &connections[fd];
    struct iovec into = {at->bytes + at->filled, REQUEST_BYTES - 1 - at->filled};
    char control[256];
    struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(fd, &message, 0);
    struct timespec moment;
    clock_gettime(CLOCK_REALTIME, &moment); /* for a kernel that does not stamp what it receives */
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); got > 0 && each; each = CMSG_NXTHDR(&message, each))
        if (each->cmsg_level == SOL_SOCKET && each->cmsg_type == SCM_TIMESTAMPNS)
            memcpy(&moment, CMSG_DATA(each), sizeof moment);
    *moment_s = moment.tv_sec + moment.tv_nsec / 1e9;
    return got;
}

static void look(int fd) {
    struct connection *at = &connections[fd];
    double moment_s;
    ssize_t got = receive(fd, &moment_s);
    if (got <= 0) {
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        at->opened++;
        close(fd);
        return;
    }
    at->filled += got;
    for (size_t whole; (whole = whole_request(at));) {
        memmove(at->bytes, at->bytes + whole, at->filled -= whole);
        arrived(fd, moment_s);
    }
    if (at->filled == REQUEST_BYTES - 1) shutdown(fd, SHUT_RDWR);
}

static void welcome(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;
    if (fd < 0) return;
    if (fd >= CONNECTIONS) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    connections[fd].opened++;
    connections[fd].filled = 0;
    watch(fd, fd);
}

static int listen_somewhere(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (void *)&address, size) || listen(listener, CONNECTIONS)) fail("listen");
    if (getsockname(listener, (void *)&address, &size)) fail("getsockname");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int count, char **words) {
    if (count != 5) return 2;
    delay_s = atof(words[1]) / 1000, refuse_at = strtoul(words[3], NULL, 10), retry_after_s = atoi(words[4]);
    poller = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int listener = listen_somewhere();
    watch(listener, TELL_LISTENER);
    watch(timer, TELL_TIMER);
    watch(STDIN_FILENO, TELL_INPUT);
    struct epoll_event events[256];
    for (int is_over = 0; !is_over;) {
        int ready = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            uint32_t tell = events[i].data.u32;
            if (tell == TELL_INPUT) is_over = 1;
            else if (tell == TELL_LISTENER) welcome(listener);
            else if (tell == TELL_TIMER) pay();
            else look((int)tell);
        }
    }
    FILE *file = fopen(words[2], "w");
    if (!file) fail(words[2]);
    for (size_t i = 0; i < moments_count; i++) fprintf(file, "%.9f\n", moments[i]);
    return fclose(file) ? 1 : 0;
}
