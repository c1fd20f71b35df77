#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace replygate {

// Memory for the tables of one store, handed out in pieces from a few large blocks, in huge pages once there is much of
// it: what is looked up at random then costs one miss of the cache, and hardly any of the processor's table of pages.
// All of it is freed at the end. Any thread.
class PieceMemory {
 public:
  static constexpr std::size_t kPiece = 2048;  // what is given back and larger is used again in pieces of this size

  // `octets`: kPiece or a power of two, 64 at the least. Aligned to 64 octets, not initialized. Throws std::bad_alloc.
  void* take(std::size_t octets);
  void give_back(void* piece, std::size_t octets) noexcept;

 private:
  struct Free {
    std::align_val_t alignment;
    void operator()(std::byte* block) const { ::operator delete(block, alignment); }
  };
  using Block = std::unique_ptr<std::byte, Free>;
  struct Spare {
    Spare* next;
  };

  void add_block(std::size_t octets);

  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<Block> blocks_;
  std::byte* free_ = nullptr;  // of the last block
  std::size_t left_ = 0;
  std::size_t total_ = 0;   // octets of all blocks
  Spare* spare_ = nullptr;  // of kPiece octets each
};

}  // namespace replygate
