// To be preloaded: counts what each thread asks of the C library, in a file that costs.py reads while the program runs.
// Includes no header that declares what is defined here.

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/types.h>

#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
char* getenv(const char*);
int ftruncate(int, off_t);
int gettid();
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
}

namespace {

// In the order of KINDS in costs.py.
enum Kind { allocations, reads, writes, octets_sent, octets_written, syncs, polls, futexes, mutexes, others, kinds };

constexpr std::size_t kThreads = 255;

struct Slot {
  std::int64_t thread;
  std::int64_t counts[kinds];
};

struct Table {
  Slot slots[kThreads + 1];  // the last is of all threads that have none
  std::int64_t used;
};

Table fallback;

Table* map_table() {
  const char* name = getenv("REPLYGATE_COUNTS");
  const int file = name == nullptr ? -1 : ::open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof(Table)) != 0) return &fallback;
  void* memory = ::mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  return memory == MAP_FAILED ? &fallback : static_cast<Table*>(memory);
}

Table* table = nullptr;

[[gnu::constructor]] void begin() { table = map_table(); }

[[gnu::tls_model("initial-exec")]] thread_local Slot* mine = nullptr;

void count(Kind kind, std::int64_t by = 1) {
  if (mine == nullptr) {
    if (table == nullptr) return;
    const std::int64_t number = __atomic_fetch_add(&table->used, 1, __ATOMIC_RELAXED);
    mine = &table->slots[number < static_cast<std::int64_t>(kThreads) ? number : static_cast<std::int64_t>(kThreads)];
    mine->thread = gettid();
  }
  __atomic_fetch_add(&mine->counts[kind], by, __ATOMIC_RELAXED);
}

template <typename Function>
Function next(const char* name) {
  // The C library has two kinds of condition variables, and would hand out the old one.
  void* found = ::dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
  return reinterpret_cast<Function>(found != nullptr ? found : ::dlsym(RTLD_NEXT, name));
}

ssize_t counted(Kind kind, ssize_t octets) {
  if (octets > 0) count(kind, octets);
  return octets;
}

}  // namespace

// NOLINTBEGIN: one line a function of the C library
#define COUNTED(kind, result, name, parameters, ...)            \
  result name parameters {                                      \
    static const auto real = next<result(*) parameters>(#name); \
    count(kind);                                                \
    return real(__VA_ARGS__);                                   \
  }
#define WRITING(kind, name, parameters, ...)                     \
  ssize_t name parameters {                                      \
    static const auto real = next<ssize_t(*) parameters>(#name); \
    count(writes);                                               \
    return counted(kind, real(__VA_ARGS__));                     \
  }

extern "C" {

void* malloc(std::size_t size) { return count(allocations), __libc_malloc(size); }
void* calloc(std::size_t number, std::size_t size) { return count(allocations), __libc_calloc(number, size); }
void* realloc(void* old, std::size_t size) { return count(allocations), __libc_realloc(old, size); }
void* aligned_alloc(std::size_t to, std::size_t size) { return count(allocations), __libc_memalign(to, size); }
int posix_memalign(void** out, std::size_t to, std::size_t size) {
  count(allocations);
  *out = __libc_memalign(to, size);
  return *out == nullptr ? 12 : 0;  // ENOMEM
}

COUNTED(reads, ssize_t, read, (int file, void* to, std::size_t size), file, to, size)
COUNTED(reads, ssize_t, pread64, (int file, void* to, std::size_t size, off_t at), file, to, size, at)
COUNTED(reads, ssize_t, readv, (int file, const void* to, int number), file, to, number)
COUNTED(reads, ssize_t, recv, (int file, void* to, std::size_t size, int flags), file, to, size, flags)
COUNTED(reads, ssize_t, recvmsg, (int file, void* to, int flags), file, to, flags)

WRITING(octets_written, write, (int file, const void* from, std::size_t size), file, from, size)
WRITING(octets_written, pwrite64, (int file, const void* from, std::size_t size, off_t at), file, from, size, at)
WRITING(octets_written, writev, (int file, const void* from, int number), file, from, number)
WRITING(octets_sent, send, (int file, const void* from, std::size_t size, int flags), file, from, size, flags)
WRITING(octets_sent, sendmsg, (int file, const void* from, int flags), file, from, flags)

COUNTED(syncs, int, fsync, (int file), file)
COUNTED(syncs, int, fdatasync, (int file), file)

COUNTED(polls, int, epoll_wait, (int poll, void* events, int most, int time), poll, events, most, time)
COUNTED(polls, int, epoll_pwait, (int poll, void* events, int most, int time, const void* mask), poll, events, most,
        time, mask)
COUNTED(polls, int, poll, (void* files, unsigned long number, int time), files, number, time)
COUNTED(polls, int, ppoll, (void* files, unsigned long number, const void* time, const void* mask), files, number, time,
        mask)

COUNTED(futexes, int, pthread_cond_wait, (void* condition, void* mutex), condition, mutex)
COUNTED(futexes, int, pthread_cond_timedwait, (void* condition, void* mutex, const void* time), condition, mutex, time)
COUNTED(futexes, int, pthread_cond_clockwait, (void* condition, void* mutex, int clock, const void* time), condition,
        mutex, clock, time)
COUNTED(futexes, int, pthread_cond_signal, (void* condition), condition)
COUNTED(futexes, int, pthread_cond_broadcast, (void* condition), condition)

COUNTED(mutexes, int, pthread_mutex_lock, (void* mutex), mutex)
COUNTED(mutexes, int, pthread_mutex_trylock, (void* mutex), mutex)
COUNTED(mutexes, int, pthread_rwlock_rdlock, (void* lock), lock)
COUNTED(mutexes, int, pthread_rwlock_wrlock, (void* lock), lock)

COUNTED(others, int, accept, (int file, void* name, void* size), file, name, size)
COUNTED(others, int, accept4, (int file, void* name, void* size, int flags), file, name, size, flags)
COUNTED(others, int, close, (int file), file)
COUNTED(others, int, epoll_ctl, (int poll, int what, int file, void* event), poll, what, file, event)
COUNTED(others, int, timerfd_settime, (int file, int flags, const void* time, void* old), file, flags, time, old)
COUNTED(others, int, setsockopt, (int file, int level, int name, const void* value, unsigned size), file, level, name,
        value, size)
COUNTED(others, int, shutdown, (int file, int how), file, how)
COUNTED(others, int, ioctl, (int file, unsigned long what, void* argument), file, what, argument)

// Waits on atomic values are made of it.
long syscall(long number, ...) {
  static const auto real = next<long (*)(long, ...)>("syscall");
  va_list rest;
  va_start(rest, number);
  long a[6];
  for (long& one : a) one = va_arg(rest, long);
  va_end(rest);
  count(futexes);
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

}  // extern "C"
// NOLINTEND
