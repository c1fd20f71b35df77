// The small parsers: ranges of recipients, times, shares, lines of mailbox files, answers of Dovecot.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "milter/lookup/mailboxes.h"
#include "milter/lookup/quota_status.h"
#include "policy/load/numbers.h"
#include "policy/scenario/scenario.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace replygate;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto all = expand_ranges(text); all && (all->empty() || all->size() > 100000)) std::abort();
  parse_time(text);
  if (const auto share = parse_share(text); share && *share < 0) std::abort();
  if (const auto line = parse_mailbox_line(text); line && line->second < 0) std::abort();
  if (const auto use = parse_quota_answer(text); use && use->percent != 0 && use->percent != 100) std::abort();
  return 0;
}
