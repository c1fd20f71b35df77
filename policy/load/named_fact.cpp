#include "policy/load/named_fact.h"

#include <fmt/format.h>

#include <vector>

#include "policy/mail/text.h"

namespace replygate {

std::optional<FactRef> named_fact(Context& context, std::string_view name, const Region& at) {
  if (auto ref = find_fact_ref(name)) return ref;
  if (name.starts_with("header")) {
    context.error(Rg::unknown_fact, at, fmt::format("\"{}\" names no header field", name),
                  "write for instance header.Subject");
    return std::nullopt;
  }
  std::vector<std::string_view> names;
  for (const FactInfo& known : fact_table()) names.push_back(known.name);
  const std::string_view meant = nearest(name, names);
  context.error(Rg::unknown_fact, at, fmt::format("there is no fact \"{}\"", name),
                meant.empty() ? "POLICY.md lists the facts" : fmt::format("did you mean \"{}\"?", meant));
  return std::nullopt;
}

}  // namespace replygate
