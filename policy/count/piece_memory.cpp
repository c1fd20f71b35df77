#include "policy/count/piece_memory.h"

#include <sys/mman.h>

#include <algorithm>

namespace replygate {
namespace {

constexpr std::size_t kFirstBlock = std::size_t{64} << 10;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::size_t rounded_up(std::size_t octets, std::size_t unit) { return (octets + unit - 1) / unit * unit; }

}  // namespace

// Each block is a quarter of all before, so that there are few. Pages of it that nobody has touched take no memory;
// a huge page is touched as a whole, which is little where there are many of them.
void PieceMemory::add_block(std::size_t octets) {
  std::size_t size = std::max({kFirstBlock, total_ / 4, octets});
  const bool huge = size >= kHugePage;
  size = rounded_up(size, huge ? kHugePage : PieceMemory::kPiece);
  const auto alignment = static_cast<std::align_val_t>(huge ? kHugePage : std::size_t{64});
  blocks_.reserve(blocks_.size() + 1);
  blocks_.emplace_back(static_cast<std::byte*>(::operator new(size, alignment)), Free{alignment});
  if (huge) ::madvise(blocks_.back().get(), size, MADV_HUGEPAGE);  // a wish
  for (; left_ >= kPiece; free_ += kPiece, left_ -= kPiece) spare_ = new (free_) Spare{spare_};
  free_ = blocks_.back().get();
  left_ = size;
  total_ += size;
}

void* PieceMemory::take(std::size_t octets) {
  const std::lock_guard lock(mutex_);
  if (octets == kPiece && spare_ != nullptr) {
    Spare* piece = spare_;
    spare_ = piece->next;
    return piece;
  }
  if (octets > left_) add_block(octets);
  void* piece = free_;
  free_ += octets;
  left_ -= octets;
  return piece;
}

void PieceMemory::give_back(void* piece, std::size_t octets) noexcept {
  const std::lock_guard lock(mutex_);
  auto* at = static_cast<std::byte*>(piece);
  for (; octets >= kPiece; at += kPiece, octets -= kPiece) spare_ = new (at) Spare{spare_};
}

}  // namespace replygate
