#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "milter/cli/commands.h"
#include "milter/cli/first_policy.h"
#include "milter/cli/load_failure.h"
#include "milter/cli/setup.h"
#include "milter/files.h"
#include "milter/host/postfix_text.h"
#include "milter/log/say.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr mode_t kModeOfPolicy = 0644;  // the daemon reads it, and is not root

// Asks at a terminal; the answer may be empty, which keeps what is there.
void ask(std::string_view what, std::vector<std::string>& value) {
  fmt::print("{} [{}]: ", what, fmt::join(value, ", "));
  std::fflush(stdout);
  std::string line;
  if (std::getline(std::cin, line) && !trim(line).empty()) value = postfix_words(line);
}

class Init {
 public:
  explicit Init(const InitOptions& options) : options_(options) {}

  int run() {
    if (const int status = read_site(); status != kFine) return status;
    const std::string text = first_policy(site_, options_.notify);
    const Loaded loaded = load_policy("replygate.toml", [&](const DataSource& source, std::string& why) {
      if (source.path == "replygate.toml") return std::optional(text);
      why = "there is no such file";
      return std::optional<std::string>();
    });
    if (!loaded.ok()) {
      print_diagnostics(loaded.diagnostics, loaded.sources);
      say("the answers make no policy; nothing is written");
      return kUsage;
    }
    if (options_.print) {
      fmt::print("{}", text);
      return kFine;
    }
    return write(text);
  }

 private:
  int read_site() {
    const auto postfix = read_postfix(options_.postfix);
    if (postfix) {
      site_ = site_of_postfix(*postfix, PostfixTables(postfix->at("config_directory")));
    } else if (!postfix.error().empty()) {
      say(fmt::format("Postfix: {}", postfix.error()));
    }
    mta_ = postfix ? "postfix" : "sendmail";
    if (!options_.domains.empty()) site_.local_domains = options_.domains;
    if (!options_.networks.empty()) site_.trusted_networks = options_.networks;
    if (site_.trusted_networks.empty()) site_.trusted_networks = {"127.0.0.0/8", "::1"};
    const bool asks = !options_.print && ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0;
    if (asks && options_.domains.empty()) ask("Domains that are delivered here", site_.local_domains);
    if (asks && options_.networks.empty()) ask("Networks that may send anywhere", site_.trusted_networks);
    if (!site_.local_domains.empty()) return kFine;
    say("which domains are delivered here? name them: replygate init --domains example.org");
    return kUsage;
  }

  int write(const std::string& text) {
    const bool there = look_for(options_.file) != Presence::absent;
    if (there && !options_.replace) {
      say(fmt::format("{} is there already; --replace keeps it as {}.before-replygate and writes a new one",
                      options_.file, options_.file));
      return kFound;
    }
    if (there) {
      if (const auto kept = keep_before(options_.file); !kept) return failed(kept.error());
    }
    if (const auto done = replace_file(options_.file, text, there ? options_.file : ""); !done) {
      return failed(done.error());
    }
    if (!there) ::chmod(options_.file.c_str(), kModeOfPolicy);
    return tell();
  }

  static int failed(const std::string& why) {
    say(why + "; nothing is written");
    return kUnavailable;
  }

  int tell() const {
    for (const std::string& left : site_.left_out) fmt::print("note: {}; add what it holds to [site]\n", left);
    fmt::print(
        "{0} is written. It watches for now: mode = \"observe\" lets all mail pass.\n\n"
        "Next:\n"
        "  replygate check                    look for mistakes\n"
        "  systemctl restart replygate        start with it\n"
        "  replygate setup {1} --apply   have the MTA ask replygate\n"
        "  replygate doctor                   is everything in place?\n"
        "  replygate tail                     what it would refuse\n\n"
        "When you agree with what you see, remove mode = \"observe\" and run: replygate reload\n",
        options_.file, mta_);
    return kFine;
  }

  const InitOptions& options_;
  SiteDraft site_;
  std::string mta_;
};

}  // namespace

int init_command(const InitOptions& options) { return Init(options).run(); }

}  // namespace replygate
