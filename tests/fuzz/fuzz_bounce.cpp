// Whatever somebody pastes or sends, MIME or not, is read and explained, and no reply is made up.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "milter/bounce/input.h"
#include "milter/bounce/status_files.h"
#include "policy/remote/status_book.h"

namespace {

replygate::StatusBook& book() {
  static const auto kBook = [] {
    std::string error;
    auto knowledge = replygate::load_statuses(replygate::status_files("/nonexistent", error));
    return replygate::StatusBook::create(std::move(knowledge).value()).value();
  }();
  return *kBook;
}

void look_at(const replygate::RemoteStatus& status, std::string_view input) {
  if (status.code && (*status.code < 200 || *status.code > 599)) std::abort();
  // Base64 and quoted-printable may hide a code; a text without digits has none to hide.
  if (status.code && input.find_first_of("0123456789") == std::string_view::npos &&
      input.find('=') == std::string_view::npos && input.find("base64") == std::string_view::npos) {
    std::abort();
  }
  const replygate::Explained explained = book().explain(status);
  const char* begin = explained.matched.data();
  if (!explained.matched.empty() && (begin < status.text.data() || begin > status.text.data() + status.text.size()))
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const auto& status : replygate::read_attempts(input)) look_at(status, input);
  for (const auto& status : replygate::read_line(input)) look_at(status, input);
  return 0;
}
