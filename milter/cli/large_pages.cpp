#include "milter/cli/large_pages.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace replygate {

#if defined(__GLIBC__) && defined(MADV_HUGEPAGE)

namespace {

constexpr int kReserved = 64 << 20;  // octets of addresses; a page is only taken when it is touched
constexpr int kUsual = 128 << 10;    // by which heaps grow beyond what is asked for
constexpr std::uintptr_t kLarge = std::uintptr_t{2} << 20;

std::uintptr_t heap_end() { return reinterpret_cast<std::uintptr_t>(::sbrk(0)); }

// Volatile: compilers leave out what is allocated for nothing.
void grow_heap() {
  void* volatile unused = std::malloc(std::size_t{1} << 20);
  std::free(unused);
}

}  // namespace

void prefer_large_pages() {
  const bool set = mallopt(M_MMAP_THRESHOLD, 32 << 20) != 0 && mallopt(M_TRIM_THRESHOLD, 2 * kReserved) != 0 &&
                   mallopt(M_TOP_PAD, kReserved) != 0;
  if (!set) return;
  const std::uintptr_t begin = (heap_end() + kLarge - 1) / kLarge * kLarge;
  grow_heap();
  mallopt(M_TOP_PAD, kUsual);  // so much may not be had again, nor the first time
  const std::uintptr_t end = heap_end();
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // a wish: it may fail
}

#else

void prefer_large_pages() {}

#endif

}  // namespace replygate
