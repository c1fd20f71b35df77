#pragma once

#include <memory>
#include <string>
#include <string_view>

struct ZSTD_CCtx_s;

namespace replygate {

// Makes blocks of text small. One thread.
class Press {
 public:
  Press();
  // Valid until the next call. Throws where there is no memory.
  std::string_view press(std::string_view text);

 private:
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const;
  };
  std::unique_ptr<ZSTD_CCtx_s, Free> context_;
  std::string pressed_;
};

// The text again. Empty where it is none, is damaged, or would have more than 32 MiB. Any thread.
std::string unpress(std::string_view pressed);

}  // namespace replygate
