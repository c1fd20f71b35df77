#include "milter/log/history_press.h"

#include <zstd.h>

#include <new>

namespace replygate {
namespace {

// Faster than level 1, at a third more octets.
constexpr int kLevel = -2;
constexpr unsigned long long kMostUnpressed = 32U << 20U;

}  // namespace

void Press::Free::operator()(ZSTD_CCtx_s* context) const { ZSTD_freeCCtx(context); }

Press::Press() : context_(ZSTD_createCCtx()) {
  if (!context_) throw std::bad_alloc();
  ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
}

std::string_view Press::press(std::string_view text) {
  if (const std::size_t most = ZSTD_compressBound(text.size()); pressed_.size() < most) pressed_.resize(most);
  const std::size_t size = ZSTD_compress2(context_.get(), pressed_.data(), pressed_.size(), text.data(), text.size());
  if (ZSTD_isError(size) != 0) throw std::bad_alloc();
  return std::string_view(pressed_).substr(0, size);
}

std::string unpress(std::string_view pressed) {
  const unsigned long long claimed = ZSTD_getFrameContentSize(pressed.data(), pressed.size());
  // The two errors are the largest of all numbers.
  if (claimed > kMostUnpressed) return {};
  std::string text(claimed, '\0');
  const std::size_t size = ZSTD_decompress(text.data(), text.size(), pressed.data(), pressed.size());
  return size == text.size() ? text : std::string();
}

}  // namespace replygate
