// To be preloaded: libc's calls on files, of which a test makes some fail.

#include "tests/fault/faulty_files.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

using replygate::test::FaultPlan;

constexpr int kMostDescriptors = 4096;

std::atomic<bool> ours[kMostDescriptors];

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

FaultPlan* map_plan() {
  const char* name = std::getenv(FaultPlan::kVariable);
  if (name == nullptr) return nullptr;
  const int file = next<int (*)(const char*, int, ...)>("open64")(name, O_RDWR | O_CLOEXEC);
  if (file < 0) return nullptr;
  void* memory = ::mmap(nullptr, sizeof(FaultPlan), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  next<int (*)(int)>("close")(file);
  return memory == MAP_FAILED ? nullptr : static_cast<FaultPlan*>(memory);
}

FaultPlan* plan() {
  static FaultPlan* const mapped = map_plan();
  return mapped;
}

// Counts a call; true where it is to fail, with errno set.
bool fails() {
  FaultPlan* p = plan();
  const std::int64_t number = ++p->calls;
  const std::int64_t first = p->first;
  if (number < first || number >= first + p->count) return false;
  if (const int wait = p->wait_ms; wait > 0) {
    const timespec time{wait / 1000, wait % 1000 * 1'000'000L};
    ::nanosleep(&time, nullptr);
    return false;
  }
  errno = p->error;
  return true;
}

bool counts(const char* path) {
  return plan() != nullptr && path != nullptr && std::strncmp(path, plan()->folder, std::strlen(plan()->folder)) == 0;
}
bool counts(int descriptor) {
  return plan() != nullptr && descriptor >= 0 && descriptor < kMostDescriptors && ours[descriptor];
}

template <typename Subject>
bool spoiled(Subject subject) {
  return counts(subject) && fails();
}

int opened(const char* path, int descriptor) {
  if (descriptor >= 0 && descriptor < kMostDescriptors) ours[descriptor] = counts(path);
  return descriptor;
}

template <typename Real>
int open_as(const char* name, const char* path, int flags, mode_t mode) {
  if (spoiled(path)) return -1;
  return opened(path, next<Real>(name)(path, flags, mode));
}

}  // namespace

extern "C" {

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_as<int (*)(const char*, int, ...)>("open64", path, flags, mode);
}

int __open64_2(const char* path, int flags) {
  return open_as<int (*)(const char*, int, ...)>("open64", path, flags, 0);
}

int openat(int folder, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (spoiled(path)) return -1;
  return opened(path, next<int (*)(int, const char*, int, ...)>("openat")(folder, path, flags, mode));
}

int close(int descriptor) {
  if (descriptor >= 0 && descriptor < kMostDescriptors) ours[descriptor] = false;
  return next<int (*)(int)>("close")(descriptor);
}

int stat64(const char* path, struct stat64* out) {
  return spoiled(path) ? -1 : next<int (*)(const char*, struct stat64*)>("stat64")(path, out);
}
int lstat64(const char* path, struct stat64* out) {
  return spoiled(path) ? -1 : next<int (*)(const char*, struct stat64*)>("lstat64")(path, out);
}
int fstat64(int descriptor, struct stat64* out) {
  return spoiled(descriptor) ? -1 : next<int (*)(int, struct stat64*)>("fstat64")(descriptor, out);
}

ssize_t read(int descriptor, void* into, size_t size) {
  return spoiled(descriptor) ? -1 : next<ssize_t (*)(int, void*, size_t)>("read")(descriptor, into, size);
}
ssize_t pread64(int descriptor, void* into, size_t size, off64_t at) {
  return spoiled(descriptor) ? -1
                             : next<ssize_t (*)(int, void*, size_t, off64_t)>("pread64")(descriptor, into, size, at);
}
ssize_t write(int descriptor, const void* from, size_t size) {
  return spoiled(descriptor) ? -1 : next<ssize_t (*)(int, const void*, size_t)>("write")(descriptor, from, size);
}
ssize_t pwrite64(int descriptor, const void* from, size_t size, off64_t at) {
  return spoiled(descriptor)
             ? -1
             : next<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64")(descriptor, from, size, at);
}
int fsync(int descriptor) { return spoiled(descriptor) ? -1 : next<int (*)(int)>("fsync")(descriptor); }
int fdatasync(int descriptor) { return spoiled(descriptor) ? -1 : next<int (*)(int)>("fdatasync")(descriptor); }
int ftruncate64(int descriptor, off64_t size) {
  return spoiled(descriptor) ? -1 : next<int (*)(int, off64_t)>("ftruncate64")(descriptor, size);
}

int rename(const char* from, const char* to) {
  return spoiled(to) ? -1 : next<int (*)(const char*, const char*)>("rename")(from, to);
}
int unlink(const char* path) { return spoiled(path) ? -1 : next<int (*)(const char*)>("unlink")(path); }
int access(const char* path, int mode) {
  return spoiled(path) ? -1 : next<int (*)(const char*, int)>("access")(path, mode);
}
int mkdir(const char* path, mode_t mode) {
  return spoiled(path) ? -1 : next<int (*)(const char*, mode_t)>("mkdir")(path, mode);
}
struct dirent* readdir(DIR* folder) {
  if (spoiled(::dirfd(folder))) return nullptr;
  return next<struct dirent* (*)(DIR*)>("readdir")(folder);
}
void* mmap64(void* at, size_t size, int protection, int flags, int descriptor, off64_t offset) {
  if (spoiled(descriptor)) return MAP_FAILED;
  return next<void* (*)(void*, size_t, int, int, int, off64_t)>("mmap64")(at, size, protection, flags, descriptor,
                                                                          offset);
}

}  // extern "C"
