#pragma once

#include <string>
#include <string_view>

#include "policy/load/context.h"
#include "policy/rules/policy.h"

namespace replygate {

// The text of a socket address as SocketAddress reads it; "" with a diagnostic where it is none.
std::string parse_socket(Context& context, const Node& node);

// The section [milter].
class MilterLoader {
 public:
  MilterLoader(Context& context, const Node& table) : context_(context), table_(table) {}

  void load(Settings& settings);
  Mode mode() const { return mode_; }  // of rules that name none

 private:
  void load_engine(Settings& settings);
  void load_listen(Settings& settings);
  void load_bounds(DoorBounds& bounds);
  void report_keys_of_another_engine();

  Context& context_;
  const Node& table_;
  Mode mode_ = Mode::enforce;
};

}  // namespace replygate
