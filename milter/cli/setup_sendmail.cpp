#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "milter/cli/setup.h"
#include "milter/files.h"
#include "milter/host/program.h"
#include "milter/host/sendmail.h"
#include "milter/log/say.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

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

int build(const SetupOptions& options) {
  if (!options.folder.empty()) {
    say("build sendmail.cf from it and restart Sendmail");
    return kFine;
  }
  const auto made = run_program({"make", "-C", "/etc/mail"});
  if (!made || made->status != 0) {
    say("make -C /etc/mail has failed: sendmail.cf is the old one");
    return kUnavailable;
  }
  say("sendmail.cf is built; restart Sendmail: systemctl restart sendmail");
  return kFine;
}

int nothing_to_do(const SetupOptions& options, const SendmailSettings& settings, const Policy& policy) {
  if (options.remove) {
    fmt::print("Sendmail does not ask replygate\n");
    return kFine;
  }
  return say_what_is_left(check_sendmail(settings, policy), "Sendmail");
}

// A link stays one: the file that it leads to is replaced.
int write(const SendmailSettings& settings, const std::string& after) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(settings.file, error);
  const std::string file = error ? settings.file : real.string();
  auto done = keep_before(file);
  if (done) done = replace_file(file, after, file);
  say(done ? file + " is changed" : done.error() + "; nothing is changed");
  return done ? kFine : kUnavailable;
}

}  // namespace

int setup_sendmail(const SetupOptions& options, const Policy& policy) {
  const auto settings = read_sendmail(options.folder);
  if (!settings) {
    say("there is no sendmail.mc; --folder names where it is");
    return kNoInput;
  }
  const std::string after =
      options.remove ? sendmail_without_replygate(*settings, policy) : sendmail_with_replygate(*settings, policy);
  if (after == settings->text) {
    return nothing_to_do(options, *settings, policy);
  }
  fmt::print("{}", difference(settings->file, settings->text, after));
  if (!options.apply) {
    say(kDrySetup);
    return kFound;
  }
  const int written = write(*settings, after);
  return written == kFine ? build(options) : written;
}

}  // namespace replygate
