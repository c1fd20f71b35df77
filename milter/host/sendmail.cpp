#include "milter/host/sendmail.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <filesystem>

#include "milter/files.h"
#include "milter/host/policy_needs.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using Level = Symptom::Level;

struct Filter {
  std::string name;
  std::string socket;  // "inet:8891@127.0.0.1", "local:/path"
  std::string flags;   // "T", "R", ""
  std::string timeouts;
};

// Lines that m4 reads: no comments.
std::string effective(const std::string& text) {
  std::string result;
  for (const std::string& line : lines_of(text)) {
    if (!line.starts_with("dnl") && !line.starts_with('#')) result += line + '\n';
  }
  return result;
}

std::vector<Filter> filters_of(const std::string& text) {
  static const re2::RE2 filter("INPUT_MAIL_FILTER\\(`([^']*)',\\s*`([^']*)'\\)");
  static const re2::RE2 socket("S=([^,]*)");
  static const re2::RE2 flags("F=([A-Z0-9]*)");
  static const re2::RE2 timeouts("T=([^,']*)");
  std::vector<Filter> filters;
  const std::string effective_text = effective(text);
  re2::StringPiece rest(effective_text);
  std::string name;
  std::string options;
  while (re2::RE2::FindAndConsume(&rest, filter, &name, &options)) {
    Filter& f = filters.emplace_back();
    f.name = name;
    re2::RE2::PartialMatch(options, socket, &f.socket);
    re2::RE2::PartialMatch(options, flags, &f.flags);
    re2::RE2::PartialMatch(options, timeouts, &f.timeouts);
  }
  return filters;
}

bool is_ours(const Filter& filter, const Policy& policy) {
  std::string socket = filter.socket;
  if (socket.starts_with("local:")) socket.replace(0, 6, "unix:");
  if (const std::size_t at = socket.find("@localhost"); at != std::string::npos) socket.replace(at, 10, "@127.0.0.1");
  return std::ranges::find(policy.settings().listen, socket) != policy.settings().listen.end();
}

// "R:10s" in seconds; the standard where it is not there.
std::int64_t timeout_of(const std::string& timeouts, char which, std::int64_t standard) {
  std::int64_t number = 0;
  std::string unit;
  if (!re2::RE2::PartialMatch(timeouts, fmt::format("{}:(\\d+)([smh]?)", which), &number, &unit)) return standard;
  return number * (unit == "m" ? 60 : unit == "h" ? 3600 : 1);
}

bool has_feature(const std::string& text, std::string_view name) {
  return effective(text).find(fmt::format("FEATURE(`{}'", name)) != std::string::npos ||
         effective(text).find(fmt::format("FEATURE({}", name)) != std::string::npos;
}

std::string filter_line(const Policy& policy) {
  const bool open = policy.settings().on_error == OnError::accept;
  return fmt::format("INPUT_MAIL_FILTER(`replygate', `S={}, {}T=C:30s;S:10s;R:30s;E:5m')dnl",
                     policy.settings().listen.front(), open ? "" : "F=T, ");
}

class SendmailCheck {
 public:
  SendmailCheck(const SendmailSettings& settings, const Policy& policy)
      : settings_(settings), policy_(policy), filters_(filters_of(settings.text)) {}

  Symptoms run() {
    const auto ours = std::ranges::find_if(filters_, [&](const Filter& f) { return is_ours(f, policy_); });
    for (const Filter& filter : filters_) {
      const bool port = !filter.socket.starts_with("inet") || filter.socket.find('@') != std::string::npos;
      if (!port)
        add(Level::error, fmt::format("the filter {} has no port: {}", filter.name, filter.socket), "S=inet:PORT@HOST");
    }
    if (ours == filters_.end()) {
      add(Level::error,
          fmt::format("no INPUT_MAIL_FILTER names {}; replygate is never asked", policy_.settings().listen.front()),
          "replygate setup sendmail --apply");
    } else {
      filter(*ours);
    }
    recipient_limit();
    relaying();
    if (symptoms_.empty()) symptoms_.push_back({Level::fine, "sendmail", "asks replygate as the policy needs it", ""});
    return std::move(symptoms_);
  }

 private:
  void add(Level level, std::string what, std::string mend) {
    symptoms_.push_back({level, "sendmail", std::move(what), std::move(mend)});
  }

  void order(const Filter& ours) {
    const FilterOrder order = filter_order(policy_);
    if (!order.last.empty() && ours.name != filters_.back().name) {
      add(Level::warning,
          fmt::format(
              "the filter {} is asked behind replygate: what it refuses is charged all the same, by the rule {}",
              filters_.back().name, order.last),
          "move replygate's INPUT_MAIL_FILTER behind it");
    } else if (order.last.empty() && !order.first.empty() && ours.name != filters_.front().name) {
      add(Level::warning,
          fmt::format("the filter {} is asked before replygate: what it refuses is not counted, by the rule {}",
                      filters_.front().name, order.first),
          "move replygate's INPUT_MAIL_FILTER before it");
    }
  }

  void filter(const Filter& ours) {
    order(ours);
    if (ours.flags != "T" && policy_.settings().on_error == OnError::tempfail) {
      add(ours.flags.empty() ? Level::warning : Level::error,
          fmt::format("F={}: with replygate down mail is {}", ours.flags,
                      ours.flags.empty() ? "let through unjudged" : "refused for good"),
          "write F=T in INPUT_MAIL_FILTER");
    }
    const auto longest = std::chrono::duration_cast<std::chrono::seconds>(longest_wait(policy_.settings())).count() + 1;
    for (const auto& [which, standard] : {std::pair('S', 10), std::pair('R', 10), std::pair('E', 300)}) {
      const std::int64_t seconds = timeout_of(ours.timeouts, which, standard);
      if (seconds > longest) continue;
      add(Level::error,
          fmt::format("T={}:{}s is shorter than replygate may need for an answer, {} s", which, seconds, longest),
          fmt::format("write T=C:30s;S:10s;R:30s;E:5m"));
    }
  }

  void recipient_limit() {
    std::int64_t limit = 0;
    re2::RE2::PartialMatch(effective(settings_.text), "define\\(`confMAX_RCPTS_PER_MESSAGE',\\s*`?(\\d+)", &limit);
    const std::int64_t needed = most_recipients(policy_);
    if (limit == 0 || needed == 0 || limit > needed) return;
    add(Level::warning,
        fmt::format("confMAX_RCPTS_PER_MESSAGE = {} refuses recipients before the policy, whose limit is {}, can",
                    limit, needed),
        fmt::format("define(`confMAX_RCPTS_PER_MESSAGE', `{}')dnl", needed + 100));
  }

  void relaying() {
    for (const std::string_view feature : {"promiscuous_relay", "relay_based_on_MX", "relay_local_from"}) {
      if (!has_feature(settings_.text, feature)) continue;
      add(Level::error, fmt::format("FEATURE(`{}') lets strangers relay", feature),
          fmt::format("remove FEATURE(`{}')", feature));
    }
    if (has_relay_rule(policy_) && effective(settings_.text).find("confRELAY_MSG") == std::string::npos) {
      add(Level::warning, "Sendmail refuses relaying in its own words: the policy's relay rule is moot",
          "define(`confRELAY_MSG', `\"571 Relaying denied; authenticate first\"')dnl");
    }
  }

  const SendmailSettings& settings_;
  const Policy& policy_;
  const std::vector<Filter> filters_;
  Symptoms symptoms_;
};

}  // namespace

std::optional<SendmailSettings> read_sendmail(const std::string& folder) {
  SendmailSettings settings{.file = (folder.empty() ? "/etc/mail" : folder) + "/sendmail.mc", .text = ""};
  std::string why;
  auto text = look_for(settings.file) != Presence::absent ? read_file(settings.file, why) : std::nullopt;
  if (!text) return std::nullopt;
  settings.text = *std::move(text);
  return settings;
}

Symptoms check_sendmail(const SendmailSettings& settings, const Policy& policy) {
  return SendmailCheck(settings, policy).run();
}

// An old address of ours gives way. A policy that charges goes behind the other filters, before the mailers, where m4
// wants it.
std::string sendmail_with_replygate(const SendmailSettings& settings, const Policy& policy) {
  const auto filters = filters_of(settings.text);
  if (std::ranges::any_of(filters, [&](const Filter& f) { return is_ours(f, policy); })) return settings.text;
  std::string text = '\n' + sendmail_without_replygate(settings, policy);
  const bool behind = !filter_order(policy).last.empty();
  std::size_t at = std::string::npos;
  for (const char* mark : {"\nMAILER(", "\nMAILER_DEFINITIONS"}) at = std::min(at, text.find(mark));
  if (!behind) at = std::min(at, text.find("\nINPUT_MAIL_FILTER("));
  text.insert(at == std::string::npos ? text.size() : at + 1, filter_line(policy) + '\n');
  return text.substr(1);
}

std::string sendmail_without_replygate(const SendmailSettings& settings, const Policy& policy) {
  std::string text;
  for (const std::string& line : lines_of(settings.text)) {
    const auto filters = filters_of(line);
    const bool ours = !filters.empty() && (filters.front().name == "replygate" || is_ours(filters.front(), policy));
    if (!ours) text += line + '\n';
  }
  return text == settings.text + '\n' ? settings.text : text;
}

}  // namespace replygate
