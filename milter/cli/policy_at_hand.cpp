#include "milter/cli/policy_at_hand.h"

#include <vector>

#include "milter/files.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

// The tables of a file, each with its header; what stands before the first is left out, and so are rules and tests.
std::vector<std::string> tables_of(const std::string& text) {
  std::vector<std::string> tables;
  bool kept = false;
  for (const std::string& line : lines_of(text)) {
    const std::string_view trimmed = trim(line);
    if (trimmed.starts_with('[')) {
      kept = !trimmed.starts_with("[[");
      if (kept) tables.emplace_back();
    }
    if (kept) tables.back() += line + '\n';
  }
  return tables;
}

std::shared_ptr<const Policy> policy_from_text(const std::string& file, const std::string& text) {
  const auto read = [&](const DataSource& source, std::string& why) {
    return source.path == file ? std::optional(text) : read_source(source, why);
  };
  return load_policy(file, read).policy;
}

}  // namespace

PolicyAtHand policy_at_hand(const std::string& file) {
  PolicyAtHand result{load_policy_file(file), nullptr};
  result.policy = result.loaded.policy;
  if (result.policy) return result;
  std::string why;
  std::string kept = "version = 1\n";
  result.policy = policy_from_text(file, kept);
  for (const std::string& table : tables_of(read_file(file, why).value_or(""))) {
    if (auto policy = policy_from_text(file, kept + table)) {
      kept += table;
      result.policy = std::move(policy);
    }
  }
  return result;
}

}  // namespace replygate
