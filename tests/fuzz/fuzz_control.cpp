// Any request over the control socket is answered exactly once, with one line of JSON.

#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "milter/serve/control_commands.h"
#include "tests/fuzz/fuzz_desk.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace replygate;
  static test::FuzzDesk office;
  boost::system::error_code error;
  const boost::json::value value =
      boost::json::parse(std::string_view(reinterpret_cast<const char*>(data), size), error);
  if (error || !value.is_object()) return 0;
  const auto* command = value.as_object().if_contains("command");
  // What reads or writes files says too much, and is slow.
  if (command != nullptr && (*command == "reload" || *command == "quota-raise" || *command == "drain")) return 0;
  int answers = 0;
  answer_request(*office.desk, value.as_object(), [&](const ControlAnswer& answer) {
    ++answers;
    const std::string line = answer.line();
    const boost::json::value parsed = boost::json::parse(line);
    if (line.find('\n') != line.size() - 1 || !parsed.is_object()) std::abort();
    if (parsed.at("ok").as_bool() != answer.error.empty()) std::abort();
  });
  if (answers != 1) std::abort();
  return 0;
}
