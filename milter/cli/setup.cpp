#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "milter/cli/commands.h"
#include "milter/cli/load_failure.h"
#include "milter/files.h"
#include "milter/host/postfix.h"
#include "milter/host/program.h"
#include "milter/host/sendmail.h"
#include "milter/log/say.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::string_view kDry = "nothing is changed; --apply does it";

// As diff -u shows it: what both begin and end with is left out, but for three lines.
std::string difference(const std::string& file, const std::string& before, const std::string& after) {
  constexpr std::size_t kContext = 3;
  const auto a = lines_of(before);
  const auto b = lines_of(after);
  const auto first = static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
  std::size_t last = 0;
  while (last + first < std::min(a.size(), b.size()) && a[a.size() - 1 - last] == b[b.size() - 1 - last]) ++last;
  const std::size_t from = first - std::min(first, kContext);
  const std::size_t to_a = std::min(a.size(), a.size() - last + kContext);
  const std::size_t to_b = std::min(b.size(), b.size() - last + kContext);
  std::string text =
      fmt::format("--- {}\n+++ {}\n@@ -{},{} +{},{} @@\n", file, file, from + 1, to_a - from, from + 1, to_b - from);
  for (std::size_t i = from; i < first; ++i) text += " " + a[i] + "\n";
  for (std::size_t i = first; i < a.size() - last; ++i) text += "-" + a[i] + "\n";
  for (std::size_t i = first; i < b.size() - last; ++i) text += "+" + b[i] + "\n";
  for (std::size_t i = a.size() - last; i < to_a; ++i) text += " " + a[i] + "\n";
  return text;
}

int setup_postfix(const SetupOptions& options, const Policy& policy) {
  const auto settings = read_postfix(options.folder);
  if (!settings) {
    say("Postfix cannot be asked: postconf is missing, or fails");
    return kNoInput;
  }
  const auto changes = postfix_changes(*settings, policy);
  if (changes.empty()) {
    fmt::print("Postfix asks replygate as the policy needs it\n");
    return kFine;
  }
  const std::string folder = settings->at("config_directory");
  fmt::print("--- {0}/main.cf\n+++ {0}/main.cf\n", folder);
  for (const PostfixChange& c : changes) fmt::print("-{0} = {1}\n+{0} = {2}\n", c.name, c.before, c.after);
  if (!options.apply) {
    say(kDry);
    return kFound;
  }
  std::vector<std::string> words = {"postconf", "-c", folder, "-e"};
  for (const PostfixChange& c : changes) words.push_back(fmt::format("{} = {}", c.name, c.after));
  const auto done = run_program(words);
  if (!done || done->status != 0) {
    say("postconf -e has failed; nothing is changed");
    return kUnavailable;
  }
  const auto running = run_program({"postfix", "-c", folder, "status"});
  if (!running || running->status != 0) {
    say("Postfix does not run; it will ask replygate once it does");
    return kFine;
  }
  const auto reloaded = run_program({"postfix", "-c", folder, "reload"});
  return reloaded && reloaded->status == 0 ? kFine : kUnavailable;
}

// The file keeps its mode; the old one is beside it.
bool replace(const std::string& file, const std::string& text) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::copy_file(file, file + ".before-replygate", fs::copy_options::overwrite_existing, error);
  if (error) return false;
  std::ofstream out(file, std::ios::trunc);
  out << text;
  out.close();
  return out.good();
}

int setup_sendmail(const SetupOptions& options, const Policy& policy) {
  const auto settings = read_sendmail(options.folder);
  if (!settings) {
    say("there is no sendmail.mc; --folder names where it is");
    return kNoInput;
  }
  const std::string after = sendmail_with_replygate(*settings, policy);
  if (after == settings->text) {
    fmt::print("Sendmail asks replygate as the policy needs it\n");
    return kFine;
  }
  fmt::print("{}", difference(settings->file, settings->text, after));
  if (!options.apply) {
    say(kDry);
    return kFound;
  }
  if (!replace(settings->file, after)) {
    say(fmt::format("{}: cannot be written; nothing is changed", settings->file));
    return kUnavailable;
  }
  if (!options.folder.empty()) {
    say("build sendmail.cf from it and restart Sendmail");
    return kFine;
  }
  const auto made = run_program({"make", "-C", "/etc/mail"});
  if (made && made->status == 0) say("sendmail.cf is built; restart Sendmail: systemctl restart sendmail");
  return made && made->status == 0 ? kFine : kUnavailable;
}

}  // namespace

int setup_command(const SetupOptions& options) {
  const Loaded loaded = load_policy_file(options.file);
  if (!loaded.ok()) {
    print_diagnostics(loaded.diagnostics, loaded.sources);
    return status_of_failure(loaded.diagnostics);
  }
  return options.mta == "postfix" ? setup_postfix(options, *loaded.policy) : setup_sendmail(options, *loaded.policy);
}

}  // namespace replygate
