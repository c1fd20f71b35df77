#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "milter/cli/colors.h"
#include "milter/cli/setup.h"
#include "milter/files.h"
#include "milter/host/postfix.h"
#include "milter/host/postfix_text.h"
#include "milter/host/program.h"
#include "milter/log/say.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using Changes = std::vector<PostfixChange>;

// Setup and removal of one Postfix.
class PostfixHand {
 public:
  PostfixHand(const SetupOptions& options, const Policy& policy, const PostfixSettings& settings)
      : options_(options), policy_(policy), settings_(settings), folder_(settings.at("config_directory")) {}

  int run() {
    const Changes changes = options_.remove ? postfix_removal(settings_, policy_) : postfix_changes(settings_, policy_);
    if (changes.empty()) return nothing_to_do();
    show(changes);
    if (!options_.apply) {
      say(kDrySetup);
      return kFound;
    }
    if (const int status = change(changes); status != kFine) return status;
    write_down();
    return reload();
  }

 private:
  // Beside main.cf: where we listened is known even when the policy says something else by now.
  void write_down() const {
    if (options_.remove) {
      ::unlink(settings_.notes().c_str());
      return;
    }
    auto written = settings_.written;
    std::string text = "# Where replygate listens or has listened, for `replygate setup postfix`.\n";
    for (std::string address : {postfix_address(policy_, settings_), postfix_service_address(policy_, settings_)}) {
      if (address.empty()) continue;
      if (std::ranges::find(written, address) == written.end()) written.push_back(std::move(address));
    }
    for (const std::string& address : written) text += address + '\n';
    if (const auto done = replace_file(settings_.notes(), text, folder_ + "/main.cf"); !done) say(done.error());
  }

  int nothing_to_do() {
    if (options_.remove) {
      fmt::print("Postfix does not ask replygate\n");
      return kFine;
    }
    if (options_.apply) write_down();
    return say_what_is_left(check_postfix(settings_, policy_), "Postfix");
  }

  void show(const Changes& changes) const {
    for (const bool main : {true, false}) {
      bool first = true;
      for (const PostfixChange& c : changes) {
        if (c.service.empty() != main) continue;
        if (first) fmt::print("--- {0}/{1}\n+++ {0}/{1}\n", folder_, main ? "main.cf" : "master.cf");
        first = false;
        const std::string name = main ? c.name : c.service + "/" + c.name;
        const Colors colors = colors_of(stdout);
        fmt::print("{3}-{0} = {1}{5}\n{4}+{0} = {2}{5}\n", name, c.before, c.after, colors.bad, colors.good,
                   colors.off);
      }
    }
  }

  // postconf writes each file whole or not at all.
  int change(const Changes& changes) const {
    std::set<std::string> files;
    for (const PostfixChange& c : changes) files.insert(c.service.empty() ? "main.cf" : "master.cf");
    for (const std::string& name : files) {
      if (const auto kept = keep_before(folder_ + "/" + name); !kept) {
        return failed(kept.error() + "; nothing is changed");
      }
    }
    if (files.contains("main.cf") && !change_main(changes)) return failed("postconf -e has failed; nothing is changed");
    for (const PostfixChange& c : changes) {
      if (!c.service.empty() && !change_service(c)) return failed("postconf -P has failed: " + c.service);
    }
    for (const std::string& name : files) say(fmt::format("{}/{} is changed", folder_, name));
    return kFine;
  }

  bool change_main(const Changes& changes) const {
    std::vector<std::string> words = {"postconf", "-c", folder_, "-e"};
    for (const PostfixChange& c : changes) {
      if (c.service.empty()) words.push_back(fmt::format("{} = {}", c.name, c.after));
    }
    return runs(words);
  }

  // postconf -P takes no blanks.
  bool change_service(const PostfixChange& c) const {
    const std::string value = without_blanks(postfix_joined(postfix_words(c.after), ","));
    return runs({"postconf", "-c", folder_, "-P", fmt::format("{}/{}={}", c.service, c.name, value)});
  }

  static std::string without_blanks(std::string text) {
    std::erase_if(text, is_blank);
    return text;
  }

  static int failed(const std::string& why) {
    say(why);
    return kUnavailable;
  }

  static bool runs(const std::vector<std::string>& words) {
    const auto done = run_program(words, Messages::kept);
    if (done && done->status != 0) say(trim(done->messages));
    return done && done->status == 0;
  }

  int reload() const {
    const auto running = run_program({"postfix", "-c", folder_, "status"}, Messages::kept);
    if (!running || running->status != 0) {
      say(options_.remove ? "Postfix does not run" : "Postfix does not run; it will ask replygate once it does");
      return kFine;
    }
    if (!runs({"postfix", "-c", folder_, "reload"})) return failed("Postfix could not be reloaded: postfix reload");
    say(options_.remove ? "Postfix is reloaded, and no longer asks replygate" : "Postfix is reloaded");
    return kFine;
  }

  const SetupOptions& options_;
  const Policy& policy_;
  const PostfixSettings& settings_;
  const std::string folder_;
};

}  // namespace

int setup_postfix(const SetupOptions& options, const Policy& policy) {
  const auto settings = read_postfix(options.folder);
  if (settings) return PostfixHand(options, policy, *settings).run();
  say(settings.error().empty() ? "there is no Postfix: postconf is not installed"
                               : "Postfix cannot be asked: " + settings.error());
  return kNoInput;
}

}  // namespace replygate
