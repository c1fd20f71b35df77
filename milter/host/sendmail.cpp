#include "milter/host/sendmail.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <re2/re2.h>

#include <algorithm>
#include <filesystem>

#include "milter/files.h"
#include "milter/host/policy_needs.h"
#include "milter/host/sendmail_text.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using Level = Symptom::Level;
using namespace sendmail;

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

// Whoever says what the MTA wants to hear may relay.
struct OpenFeature {
  std::string_view name;
  Level level;
  std::string_view why;
};
constexpr OpenFeature kOpenFeatures[] = {
    {"promiscuous_relay", Level::error, "lets strangers relay"},
    {"relay_based_on_MX", Level::error, "lets strangers relay to whatever domain names this host as its MX"},
    {"relay_local_from", Level::error, "lets strangers relay who claim a sender of this host"},
    {"relay_mail_from", Level::error, "lets strangers relay who claim a sender that the access table lets relay"},
    {"loose_relay_check", Level::warning,
     "lets user%elsewhere@domain pass to a domain that is relayed to, which may relay it"},
};

constexpr std::string_view kBuild = "make -C /etc/mail && systemctl restart sendmail";

std::string filter_line(const Policy& policy) {
  const bool open = policy.settings().on_error == OnError::accept;
  return fmt::format("INPUT_MAIL_FILTER(`replygate', `S={}, {}T=C:30s;S:10s;R:30s;E:5m')dnl",
                     policy.settings().listen.front(), open ? "" : "F=T, ");
}

class SendmailCheck {
 public:
  SendmailCheck(const SendmailSettings& settings, const Policy& policy)
      : settings_(settings), policy_(policy), filters_(filters_in_mc(settings.text)) {}

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
      asked_of_all(*ours);
      ports(*ours);
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

  // In sendmail.mc a later define takes all filters out that it does not name; sendmail.cf is what runs.
  void asked_of_all(const Filter& ours) {
    if (const std::string list = filter_list_in_mc(settings_.text); list != "-" && !names(list, ours)) {
      add(Level::error,
          fmt::format("confINPUT_MAIL_FILTERS is {}, without {}; replygate is never asked", list, ours.name),
          fmt::format("define(`confINPUT_MAIL_FILTERS', `{}{}{}')dnl", list, list.empty() ? "" : ", ", ours.name));
    } else if (!settings_.cf.empty() && !runs(ours)) {
      add(Level::error,
          fmt::format("sendmail.cf does not ask the filter {} of sendmail.mc: it was not built from it", ours.name),
          std::string(kBuild));
    }
  }

  static bool names(const std::string& list, const Filter& ours) {
    const auto all = split(list, ',');
    return std::ranges::find(all, ours.name) != all.end();
  }

  bool runs(const Filter& ours) const {
    const auto all = filters_in_cf(settings_.cf);
    const bool there = std::ranges::any_of(all, [&](const Filter& f) { return is_ours(f, policy_); });
    return there && names(filter_list_in_cf(settings_.cf), ours);
  }

  // A port with filters of its own asks no others.
  void ports(const Filter& ours) {
    auto all = ports_in_mc(settings_.text);
    for (DaemonPort& port : ports_in_cf(settings_.cf)) {
      if (std::ranges::find(all, port.options, &DaemonPort::options) == all.end()) all.push_back(std::move(port));
    }
    for (const DaemonPort& port : all) {
      if (!port.own_filters || std::ranges::find(port.filters, ours.name) != port.filters.end()) continue;
      add(port.loopback ? Level::warning : Level::error,
          fmt::format("the port {} has InputMailFilters of its own without {}: mail that comes there is not judged{}",
                      port.name, ours.name,
                      port.loopback ? ", as it should be if a content filter gives mail back there" : ""),
          fmt::format("write InputMailFilters={}{}{} in its DAEMON_OPTIONS, then {}", fmt::join(port.filters, ";"),
                      port.filters.empty() ? "" : ";", ours.name, kBuild));
    }
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
    const auto longest = std::chrono::duration_cast<std::chrono::seconds>(longest_wait(policy_)).count() + 1;
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
    for (const OpenFeature& feature : kOpenFeatures) {
      if (!has_feature(settings_.text, settings_.cf, feature.name)) continue;
      add(feature.level, fmt::format("FEATURE(`{}') {}", feature.name, feature.why),
          fmt::format("remove FEATURE(`{}'), then {}", feature.name, kBuild));
    }
    if (has_own_recipient_rules(settings_.text, settings_.cf)) {
      add(Level::warning,
          "rules of your own in Local_check_rcpt decide about recipients first: whether they let strangers "
          "relay cannot be told from here",
          "try it from a host of strangers, or remove them");
    }
    if (has_relay_rule(policy_) && effective(settings_.text).find("confRELAY_MSG") == std::string::npos) {
      add(Level::warning, "Sendmail refuses relaying itself: the policy's relay rule never applies",
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
  SendmailSettings settings{.file = (folder.empty() ? "/etc/mail" : folder) + "/sendmail.mc", .text = "", .cf = ""};
  std::string why;
  auto text = look_for(settings.file) != Presence::absent ? read_file(settings.file, why) : std::nullopt;
  if (!text) return std::nullopt;
  settings.text = *std::move(text);
  settings.cf =
      read_file((std::filesystem::path(settings.file).parent_path() / "sendmail.cf").string(), why).value_or("");
  return settings;
}

Symptoms check_sendmail(const SendmailSettings& settings, const Policy& policy) {
  return SendmailCheck(settings, policy).run();
}

// An old address of ours gives way. A policy that charges goes behind the other filters, before the mailers, where m4
// wants it.
std::string sendmail_with_replygate(const SendmailSettings& settings, const Policy& policy) {
  const auto filters = filters_in_mc(settings.text);
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
    const auto filters = filters_in_mc(line);
    const bool ours = !filters.empty() && (filters.front().name == "replygate" || is_ours(filters.front(), policy));
    if (!ours) text += line + '\n';
  }
  return text == settings.text + '\n' ? settings.text : text;
}

}  // namespace replygate
