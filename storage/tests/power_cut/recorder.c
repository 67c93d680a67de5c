/* Records what a process does to the files below a directory, in the order it does it: loaded with LD_PRELOAD.
 *
 * Every call is made and recorded under one lock, so the record is one history. Syncs are recorded, not made. A call that
 * changes files in a way the record has no word for ends the process.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, MKDIR, OPEN, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, RMDIR };

struct head {
    uint32_t kind, name_len;
    uint64_t inode, at, len;
};

#define SLOTS 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root;
static size_t root_len;
static int record_fd = -1;
static uint64_t inodes[SLOTS];

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void die(const char *why) {
    dprintf(2, "recorder: %s: %s\n", why, strerror(errno));
    _exit(70);
}

static void put(const void *bytes, size_t len) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = REAL(write);
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = real(record_fd, at, len);
        if (n <= 0) die("the record can't be written");
        at += n;
        len -= (size_t)n;
    }
}

static void record(uint32_t kind, uint64_t inode, uint64_t at, const char *name, size_t name_len, const void *data,
                   size_t len) {
    struct head head = {kind, (uint32_t)name_len, inode, at, len};
    put(&head, sizeof head);
    put(name, name_len);
    put(data, data ? len : 0);
}

/* The path below the root, or NULL. */
static const char *below(const char *path) {
    if (!root || strncmp(path, root, root_len) != 0) return NULL;
    if (path[root_len] == 0) return "";
    return path[root_len] == '/' ? path + root_len + 1 : NULL;
}

static int slot(uint64_t inode) {
    int i = (int)((inode * 0x9E3779B97F4A7C15ull) >> 48) % SLOTS;
    while (inodes[i] != 0 && inodes[i] != inode) i = (i + 1) % SLOTS;
    return i;
}

static void track(uint64_t inode) { inodes[slot(inode)] = inode; }

/* The inode of a descriptor on a recorded file, or 0. */
static uint64_t tracked(int fd) {
    struct stat st;
    if (!root || fstat(fd, &st) != 0) return 0;
    return inodes[slot(st.st_ino)] == st.st_ino ? st.st_ino : 0;
}

static uint64_t inode_of(int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0) die("fstat");
    return st.st_ino;
}

static const char *resolved(int dir, const char *path, char *buffer) {
    if (path[0] == '/' || dir == AT_FDCWD) return path;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t n = readlink(link, buffer, PATH_MAX - 1);
    if (n < 0) die("readlink");
    snprintf(buffer + n, (size_t)(PATH_MAX - n), "/%s", path);
    return buffer;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("GADWALL_RECORD_TO");
    if (!path) return;
    record_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (record_fd < 0) die(path);
    root = getenv("GADWALL_RECORD_BELOW");
    if (!root) die("GADWALL_RECORD_BELOW");
    root_len = strlen(root);
}

static int opened(const char *path, int flags, int existed, int fd) {
    const char *name = below(path);
    if (fd < 0 || !name) return fd;
    uint64_t inode = inode_of(fd);
    track(inode);
    record(existed ? OPEN : CREATE, inode, 0, name, strlen(name), NULL, 0);
    if (existed && (flags & O_TRUNC)) record(TRUNCATE, inode, 0, NULL, 0, NULL, 0);
    return fd;
}

#define OPENS(name, params, path_of, call)                                            \
    int name params {                                                                 \
        static __typeof__(&name) real;                                                \
        if (!real) real = REAL(name);                                                 \
        mode_t mode = 0;                                                              \
        if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {                  \
            va_list args;                                                             \
            va_start(args, flags);                                                    \
            mode = va_arg(args, mode_t);                                              \
            va_end(args);                                                             \
        }                                                                             \
        char buffer[PATH_MAX];                                                        \
        (void)buffer;                                                                 \
        const char *whole = path_of;                                                  \
        if (!below(whole)) return real call;                                          \
        pthread_mutex_lock(&lock);                                                    \
        struct stat st;                                                               \
        int existed = lstat(whole, &st) == 0;                                         \
        int fd = opened(whole, flags, existed, real call);                            \
        pthread_mutex_unlock(&lock);                                                  \
        return fd;                                                                    \
    }

OPENS(open, (const char *path, int flags, ...), path, (path, flags, mode))
OPENS(open64, (const char *path, int flags, ...), path, (path, flags, mode))
OPENS(openat, (int dir, const char *path, int flags, ...), resolved(dir, path, buffer), (dir, path, flags, mode))
OPENS(openat64, (int dir, const char *path, int flags, ...), resolved(dir, path, buffer), (dir, path, flags, mode))

static ssize_t write_recorded(int fd, const void *bytes, size_t len, off_t at) {
    static ssize_t (*real_write)(int, const void *, size_t);
    static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
    if (!real_write) real_write = REAL(write);
    if (!real_pwrite) real_pwrite = REAL(pwrite);
    pthread_mutex_lock(&lock);
    uint64_t inode = tracked(fd);
    off_t start = at;
    if (inode && at < 0) start = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    ssize_t n = at < 0 ? real_write(fd, bytes, len) : real_pwrite(fd, bytes, len, at);
    int error = errno;
    if (inode && n > 0) record(WRITE, inode, (uint64_t)start, NULL, 0, bytes, (size_t)n);
    pthread_mutex_unlock(&lock);
    errno = error;
    return n;
}

ssize_t write(int fd, const void *bytes, size_t len) { return write_recorded(fd, bytes, len, -1); }
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) { return write_recorded(fd, bytes, len, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at) { return write_recorded(fd, bytes, len, at); }

#define TRUNCATES(name, off)                                                     \
    int name(int fd, off len) {                                                  \
        static int (*real)(int, off);                                            \
        if (!real) real = REAL(name);                                            \
        pthread_mutex_lock(&lock);                                               \
        uint64_t inode = tracked(fd);                                            \
        int failed = real(fd, len);                                              \
        if (inode && !failed) record(TRUNCATE, inode, (uint64_t)len, NULL, 0, NULL, 0); \
        pthread_mutex_unlock(&lock);                                             \
        return failed;                                                           \
    }

TRUNCATES(ftruncate, off_t)
TRUNCATES(ftruncate64, off64_t)

#define SYNCS(name)                                                \
    int name(int fd) {                                             \
        static int (*real)(int);                                   \
        if (!real) real = REAL(name);                              \
        pthread_mutex_lock(&lock);                                 \
        uint64_t inode = tracked(fd);                              \
        if (inode) record(SYNC, inode, 0, NULL, 0, NULL, 0);       \
        pthread_mutex_unlock(&lock);                               \
        return inode ? 0 : real(fd);                               \
    }

SYNCS(fsync)
SYNCS(fdatasync)

/* Promises nothing about a power cut (sync_file_range(2)), so there is nothing to record. */
int sync_file_range(int fd, off64_t at, off64_t len, unsigned flags) {
    (void)fd, (void)at, (void)len, (void)flags;
    return 0;
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (!real) real = REAL(rename);
    const char *old = below(from), *new = below(to);
    if (!old != !new) die("a rename in or out");
    pthread_mutex_lock(&lock);
    int failed = real(from, to);
    if (old && !failed) {
        char names[2 * PATH_MAX];
        int len = snprintf(names, sizeof names, "%s%c%s", old, 0, new);
        record(RENAME, 0, 0, names, (size_t)len, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

static int removed(int failed, const char *path, uint32_t kind) {
    const char *name = below(path);
    if (!failed && name) record(kind, 0, 0, name, strlen(name), NULL, 0);
    return failed;
}

int unlink(const char *path) {
    static int (*real)(const char *);
    if (!real) real = REAL(unlink);
    pthread_mutex_lock(&lock);
    int failed = removed(real(path), path, UNLINK);
    pthread_mutex_unlock(&lock);
    return failed;
}

int rmdir(const char *path) {
    static int (*real)(const char *);
    if (!real) real = REAL(rmdir);
    pthread_mutex_lock(&lock);
    int failed = removed(real(path), path, RMDIR);
    pthread_mutex_unlock(&lock);
    return failed;
}

int unlinkat(int dir, const char *path, int flags) {
    static int (*real)(int, const char *, int);
    if (!real) real = REAL(unlinkat);
    char buffer[PATH_MAX];
    const char *whole = resolved(dir, path, buffer);
    pthread_mutex_lock(&lock);
    int failed = removed(real(dir, path, flags), whole, flags & AT_REMOVEDIR ? RMDIR : UNLINK);
    pthread_mutex_unlock(&lock);
    return failed;
}

int mkdir(const char *path, mode_t mode) {
    static int (*real)(const char *, mode_t);
    if (!real) real = REAL(mkdir);
    const char *name = below(path);
    pthread_mutex_lock(&lock);
    int failed = real(path, mode);
    struct stat st;
    if (!failed && name && stat(path, &st) == 0) {
        track(st.st_ino);
        record(MKDIR, st.st_ino, 0, name, strlen(name), NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

/* What nothing here is known to call. */
#define UNKNOWN(result, name, params, fd, args)          \
    result name params {                                 \
        if (tracked(fd)) die(#name " is not recorded");  \
        return REAL(name) args;                          \
    }
UNKNOWN(ssize_t, writev, (int fd, const struct iovec *v, int n), fd, (fd, v, n))
UNKNOWN(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t at), fd, (fd, v, n, at))
UNKNOWN(ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off64_t at), fd, (fd, v, n, at))
UNKNOWN(int, fallocate, (int fd, int mode, off_t at, off_t len), fd, (fd, mode, at, len))
UNKNOWN(int, fallocate64, (int fd, int mode, off64_t at, off64_t len), fd, (fd, mode, at, len))
UNKNOWN(ssize_t, copy_file_range, (int in, off64_t *from, int out, off64_t *to, size_t len, unsigned flags), out,
        (in, from, out, to, len, flags))
