// What people write who know another program, or guess: each with the help that they get. wrong-ideas.txt has one idea
// a paragraph, which is a whole policy where it begins with a table's header, else keys of a rule; its last line is the
// first help that the loader gives. With REPLYGATE_UPDATE=1 in the environment the helps are written anew.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "policy/load/load.h"

namespace replygate {
namespace {

constexpr std::string_view kFile = BAD_DIR "/wrong-ideas.txt";
constexpr std::string_view kHelp = "= help: ";
constexpr std::size_t kAtLeast = 330;

struct Idea {
  std::string text;
  std::string help;
};

std::vector<Idea> ideas() {
  std::vector<Idea> result(1);
  std::ifstream file{std::string(kFile)};
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kHelp)) {
      result.back().help = line.substr(kHelp.size());
    } else if (!line.empty()) {
      result.back().text += line + '\n';
    } else if (!result.back().text.empty()) {
      result.emplace_back();
    }
  }
  if (result.back().text.empty()) result.pop_back();
  return result;
}

bool has_key(const std::string& text, std::initializer_list<std::string_view> keys) {
  return std::ranges::any_of(keys, [&](std::string_view key) {
    return text.starts_with(key) || text.find('\n' + std::string(key)) != std::string::npos;
  });
}

// The rule is complete but for the idea.
std::string policy_with(const std::string& idea) {
  std::string text = "version = 1\n";
  if (idea.starts_with('[')) return text + idea;
  text += "[site]\nlocal_domains = [\"example.org\"]\nrelay = \"mta\"\n[lists]\nvips = [\"a@example.org\"]\n[[rule]]\n";
  if (!has_key(idea, {"name"})) text += "name = \"r\"\n";
  text += idea;
  const bool limited = has_key(idea, {"burst", "override", "warn_at", "count", "per", "share"});
  if (limited && !has_key(idea, {"limit"})) text += "limit = \"5 messages / 1h\"\n";
  if (!has_key(idea, {"per"}) && (limited || has_key(idea, {"limit", "greylist"}))) text += "per = \"sender\"\n";
  if (!has_key(idea, {"reply", "accept", "hold", "discard"})) text += "reply = 450\n";
  return text;
}

std::string first_help(const std::string& policy) {
  const Loaded loaded = load_policy("p.toml", [&](const DataSource& source, std::string& why) {
    if (source.path == "p.toml") return std::optional(policy);
    why = "No such file or directory";
    return std::optional<std::string>();
  });
  for (const Diagnostic& d : loaded.diagnostics) {
    if (!d.help.empty()) return d.help;
  }
  return loaded.diagnostics.empty() ? "(nothing is wrong)" : "(no help)";
}

TEST(WrongIdeas, GetTheLineToWrite) {
  const auto all = ideas();
  EXPECT_GE(all.size(), kAtLeast);
  std::ostringstream anew;
  for (const Idea& idea : all) {
    const std::string help = first_help(policy_with(idea.text));
    EXPECT_EQ(help, idea.help) << idea.text;
    anew << idea.text << kHelp << help << "\n\n";
  }
  if (std::getenv("REPLYGATE_UPDATE") != nullptr) std::ofstream{std::string(kFile)} << anew.str();
}

}  // namespace
}  // namespace replygate
