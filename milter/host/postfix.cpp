#include "milter/host/postfix.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "milter/host/policy_needs.h"
#include "milter/host/program.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using Level = Symptom::Level;

// Words parted by commas and blanks; what stands in braces is one.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  int depth = 0;
  for (const char c : text) {
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    if (depth == 0 && (c == ',' || c == ' ' || c == '\t')) {
      if (!words.back().empty()) words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::int64_t number_of(const std::string& text, std::int64_t standard) {
  std::int64_t number = standard;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// "30s", "5m"; a bare number is of seconds.
std::int64_t seconds_of(const std::string& text) {
  const std::int64_t number = number_of(text, 0);
  const char unit = text.empty() ? 's' : text.back();
  return number * (unit == 'm' ? 60 : unit == 'h' ? 3600 : unit == 'd' ? 86400 : 1);
}

std::string postconf(const PostfixSettings& settings, std::string_view assignment) {
  return fmt::format("postconf {}-e '{}'", settings.folder.empty() ? "" : "-c " + settings.folder + " ", assignment);
}

bool has_port(std::string_view address) {
  const std::size_t host_end = address.starts_with("inet:[") ? address.find(']') : 4;
  return host_end != std::string_view::npos && address.find(':', host_end + 1) != std::string_view::npos &&
         address.back() != ':';
}

bool same_address(std::string_view a, std::string_view b) {
  const auto plain = [](std::string_view text) {
    std::string result(text);
    const std::size_t at = result.find("localhost");
    if (at != std::string::npos) result.replace(at, 9, "127.0.0.1");
    if (result.starts_with("local:")) result.replace(0, 6, "unix:");
    return result;
  };
  return plain(a) == plain(b);
}

// How Postfix may name the first of our sockets.
SocketAddress first_listen(const Policy& policy) {
  return SocketAddress::parse(policy.settings().listen.front()).value();
}

const PostfixMilter* ours(const std::vector<PostfixMilter>& milters, const PostfixSettings& settings,
                          const Policy& policy) {
  for (const std::string& text : policy.settings().listen) {
    const std::string address = postfix_address(SocketAddress::parse(text).value(), settings);
    for (const PostfixMilter& milter : milters) {
      if (same_address(milter.address, address)) return &milter;
    }
  }
  return nullptr;
}

class Check {
 public:
  Check(const PostfixSettings& settings, const Policy& policy)
      : settings_(settings), policy_(policy), milters_(postfix_milters(settings.at("smtpd_milters"))) {}

  Symptoms run() {
    milter_is_asked();
    if (const PostfixMilter* milter = ours(milters_, settings_, policy_)) {
      order(*milter);
      default_action(*milter);
      timeouts(*milter);
    }
    protocol();
    recipient_limit();
    relaying();
    if (symptoms_.empty()) symptoms_.push_back({Level::fine, "postfix", "asks replygate as the policy needs it", ""});
    return std::move(symptoms_);
  }

 private:
  void add(Level level, std::string what, std::string mend) {
    symptoms_.push_back({level, "postfix", std::move(what), std::move(mend)});
  }

  void milter_is_asked() {
    for (const PostfixMilter& milter : milters_) {
      if (!milter.address.starts_with("inet:") || has_port(milter.address)) continue;
      add(Level::error, fmt::format("smtpd_milters: {} has no port; Postfix answers 451 to all mail", milter.address),
          "write inet:HOST:PORT");
    }
    for (const std::string& service : settings_.overriding) {
      add(Level::warning, fmt::format("master.cf: the service {} has a smtpd_milters of its own", service),
          "postconf -P | grep smtpd_milters, and remove it or add replygate there, too");
    }
    if (ours(milters_, settings_, policy_) != nullptr) return;
    const SocketAddress listen = first_listen(policy_);
    const std::string address = postfix_address(listen, settings_);
    if (settings_.chrooted && listen.family == SocketAddress::Family::unix_path && address.empty()) {
      return add(Level::error,
                 fmt::format("smtpd runs in the chroot {}, and cannot see the socket {} outside of it",
                             settings_.at("queue_directory"), listen.path),
                 fmt::format("[milter] listen = \"unix:{}/replygate/milter.sock\", or a TCP socket",
                             settings_.at("queue_directory")));
    }
    add(Level::error, fmt::format("smtpd_milters does not name {}; replygate is never asked", address),
        "replygate setup postfix --apply");
  }

  void order(const PostfixMilter& milter) {
    if (&milter == milters_.data()) return;
    add(Level::warning,
        fmt::format("{} is asked before replygate: what it refuses, replygate neither sees nor counts",
                    milters_.front().address),
        postconf(settings_, "smtpd_milters = " + milter.address + ", …"));
  }

  void default_action(const PostfixMilter& milter) {
    const auto own = milter.options.find("default_action");
    const std::string action = own == milter.options.end() ? settings_.at("milter_default_action") : own->second;
    const bool open = policy_.settings().on_error == OnError::accept;
    if (action == "tempfail" || (open && action == "accept")) return;
    add(action == "accept" ? Level::warning : Level::error,
        fmt::format("milter_default_action = {}: with replygate down mail is {}", action,
                    action == "accept"       ? "let through unjudged"
                    : action == "quarantine" ? "let through into the hold queue"
                                             : "refused for good"),
        postconf(settings_, "milter_default_action = tempfail"));
  }

  void timeouts(const PostfixMilter& milter) {
    const auto longest = std::chrono::duration_cast<std::chrono::seconds>(longest_wait(policy_.settings())).count() + 1;
    for (const char* name : {"command_timeout", "content_timeout"}) {
      const std::string setting = std::string("milter_") + name;
      const auto own = milter.options.find(name);
      const std::string text = own == milter.options.end() ? settings_.at(setting) : own->second;
      if (seconds_of(text) > longest) continue;
      add(Level::error,
          fmt::format("{} = {} is shorter than replygate may need for an answer, {} s", setting, text, longest),
          postconf(settings_, setting + " = 30s"));
    }
  }

  // Version 6 lets a filter name the macros that it needs.
  void protocol() {
    const std::string& version = settings_.at("milter_protocol");
    if (version.empty() || number_of(version, 6) >= 6) return;
    add(Level::error,
        fmt::format("milter_protocol = {}: Postfix does not send the macros that replygate asks for", version),
        postconf(settings_, "milter_protocol = 6"));
  }

  void recipient_limit() {
    const std::int64_t needed = most_recipients(policy_);
    const std::int64_t limit = number_of(settings_.at("smtpd_recipient_limit"), 1000);
    if (needed == 0 || limit > needed) return;
    add(Level::warning,
        fmt::format("smtpd_recipient_limit = {} refuses recipients before the policy, whose limit is {}, can", limit,
                    needed),
        postconf(settings_, fmt::format("smtpd_recipient_limit = {}", needed + 100)));
  }

  void relaying() {
    for (const std::string& network : words_of(settings_.at("mynetworks"))) {
      if (network != "0.0.0.0/0" && network != "[::]/0" && network != "::/0") continue;
      add(Level::error, fmt::format("mynetworks has {}: everybody may relay, this host is open", network),
          postconf(settings_, "mynetworks = 127.0.0.0/8 [::1]/128"));
    }
    const std::string all =
        settings_.at("smtpd_relay_restrictions") + "," + settings_.at("smtpd_recipient_restrictions");
    const std::vector<std::string> words = words_of(all);
    const auto named = [&](std::string_view word) { return std::ranges::find(words, word) != words.end(); };
    if (!named("reject_unauth_destination") && !named("defer_unauth_destination")) {
      add(Level::error, "smtpd_relay_restrictions has no reject_unauth_destination: this host relays for everybody",
          postconf(settings_,
                   "smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, "
                   "reject_unauth_destination"));
    }
    const bool second_door = all.find("check_policy_service") != std::string::npos;
    if (has_relay_rule(policy_) && !second_door) {
      add(Level::warning,
          "Postfix refuses relaying in its own words before replygate is asked: the policy's relay rule is moot",
          policy_.settings().policy_service.empty()
              ? "add [policy_service] listen = \"inet:8892@127.0.0.1\" to the policy, then replygate setup postfix"
              : "replygate setup postfix --apply");
    }
  }

  const PostfixSettings& settings_;
  const Policy& policy_;
  const std::vector<PostfixMilter> milters_;
  Symptoms symptoms_;
};

std::string with_second_door(const std::string& restrictions, const SocketAddress& service,
                             const PostfixSettings& settings) {
  std::string address = postfix_address(service, settings);
  const std::string door = fmt::format("check_policy_service {{ {}, timeout=2s, default_action=DUNNO }}", address);
  std::string result;
  for (const std::string& word : words_of(restrictions)) {
    const bool before = word == "reject_unauth_destination" || word == "defer_unauth_destination";
    if (!result.empty()) result += ", ";
    result += before ? door + ", " + word : word;
  }
  return result;
}

}  // namespace

const std::string& PostfixSettings::at(std::string_view name) const {
  static const std::string none;
  const auto it = values.find(std::string(name));
  return it == values.end() ? none : it->second;
}

std::optional<PostfixSettings> read_postfix(const std::string& folder) {
  PostfixSettings settings{.folder = folder, .values = {}, .overriding = {}};
  const auto ask = [&](std::vector<std::string> options) {
    options.insert(options.begin(), "postconf");
    if (!folder.empty()) options.insert(options.begin() + 1, {"-c", folder});
    return run_program(options);
  };
  const auto values = ask({"-x"});
  if (!values || values->status != 0) return std::nullopt;
  for (const std::string& line : lines_of(values->output)) {
    const std::size_t equals = line.find(" =");
    if (equals != std::string::npos) settings.values[line.substr(0, equals)] = trim(line.substr(equals + 2));
  }
  const auto services = ask({"-F"});
  for (const std::string& line : lines_of(services ? services->output : "")) {
    const bool chroot = line.find("/chroot = ") != std::string::npos && line.ends_with("= y");
    if (chroot && line.find("/inet/") != std::string::npos) settings.chrooted = true;
  }
  const auto overrides = ask({"-P"});
  for (const std::string& line : lines_of(overrides ? overrides->output : "")) {
    const std::size_t at = line.find("/smtpd_milters = ");
    if (at != std::string::npos) settings.overriding.push_back(line.substr(0, at));
  }
  return settings;
}

std::vector<PostfixMilter> postfix_milters(std::string_view text) {
  std::vector<PostfixMilter> milters;
  for (const std::string& word : words_of(text)) {
    PostfixMilter& milter = milters.emplace_back();
    if (!word.starts_with('{')) {
      milter.address = word;
      continue;
    }
    for (const std::string& part : words_of(std::string_view(word).substr(1, word.size() - 2))) {
      const std::size_t equals = part.find('=');
      if (milter.address.empty()) {
        milter.address = part;
      } else if (equals != std::string::npos) {
        milter.options[part.substr(0, equals)] = part.substr(equals + 1);
      }
    }
  }
  return milters;
}

std::string postfix_address(const SocketAddress& listen, const PostfixSettings& settings) {
  using Family = SocketAddress::Family;
  if (listen.family == Family::inet) return fmt::format("inet:{}:{}", listen.host, listen.port);
  if (listen.family == Family::inet6) return fmt::format("inet:[{}]:{}", listen.host, listen.port);
  if (listen.family == Family::descriptor) return "";
  if (!settings.chrooted) return "unix:" + listen.path;
  const std::string root = settings.at("queue_directory") + "/";
  return listen.path.starts_with(root) ? "unix:" + listen.path.substr(root.size()) : "";
}

Symptoms check_postfix(const PostfixSettings& settings, const Policy& policy) { return Check(settings, policy).run(); }

std::vector<PostfixChange> postfix_changes(const PostfixSettings& settings, const Policy& policy) {
  std::vector<PostfixChange> changes;
  const auto want = [&](const std::string& name, const std::string& after) {
    if (settings.at(name) != after) changes.push_back({name, settings.at(name), after});
  };
  const std::string address = postfix_address(first_listen(policy), settings);
  for (const char* name : {"smtpd_milters", "non_smtpd_milters"}) {
    const std::string& before = settings.at(name);
    if (address.empty() || ours(postfix_milters(before), settings, policy) != nullptr) continue;
    want(name, before.empty() ? address : address + ", " + before);
  }
  want("milter_default_action", policy.settings().on_error == OnError::accept ? "accept" : "tempfail");
  if (number_of(settings.at("milter_protocol"), 6) < 6) want("milter_protocol", "6");
  const std::int64_t needed = most_recipients(policy);
  if (needed > 0 && number_of(settings.at("smtpd_recipient_limit"), 1000) <= needed) {
    want("smtpd_recipient_limit", std::to_string(needed + 100));
  }
  if (!policy.settings().policy_service.empty()) {
    const SocketAddress service = SocketAddress::parse(policy.settings().policy_service).value();
    const std::string& before = settings.at("smtpd_relay_restrictions");
    if (before.find(postfix_address(service, settings)) == std::string::npos) {
      want("smtpd_relay_restrictions", with_second_door(before, service, settings));
    }
  }
  return changes;
}

}  // namespace replygate
