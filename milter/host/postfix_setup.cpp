#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "milter/host/policy_needs.h"
#include "milter/host/postfix.h"
#include "milter/host/postfix_access.h"
#include "milter/host/postfix_restrictions.h"
#include "milter/host/postfix_text.h"

namespace replygate {
namespace {

// Where a check_policy_service of ours may stand.
constexpr std::array kDoorLists = {"smtpd_relay_restrictions", "smtpd_recipient_restrictions"};

class PostfixSetup {
 public:
  PostfixSetup(const PostfixSettings& settings, const Policy& policy) : settings_(settings), policy_(policy) {}

  std::vector<PostfixChange> changes() {
    for (const char* name : {"smtpd_milters", "non_smtpd_milters"}) {
      want(name, with_us(settings_.at(name), true));
      each_service([&](const PostfixService& service) { return with_us(service.values.at(name), false); }, name);
    }
    actions();
    door();
    return std::move(changes_);
  }

  std::vector<PostfixChange> removal() {
    for (const char* name : {"smtpd_milters", "non_smtpd_milters"}) {
      want(name, without_us(settings_.at(name)));
      each_service([&](const PostfixService& service) { return without_us(service.values.at(name)); }, name);
    }
    for (const char* name : kDoorLists) {
      want(name, without_door(settings_.at(name)));
      each_service([&](const PostfixService& service) { return without_door(service.values.at(name)); }, name);
    }
    return std::move(changes_);
  }

 private:
  void want(const std::string& name, const std::string& after) {
    if (settings_.at(name) != after) changes_.push_back({"", name, settings_.at(name), after});
  }

  template <typename After>
  void each_service(After after, const std::string& name) {
    for (const PostfixService& service : settings_.services) {
      if (!service.overridden.contains(name)) continue;
      const std::string& before = service.values.at(name);
      const std::string value = after(service);
      if (value != before) changes_.push_back({service.name, name, before, value});
    }
  }

  bool was_ours(const PostfixServer& milter) const { return was_own(milter.address, settings_, policy_); }
  bool is_ours(const PostfixServer& milter) const { return own_milter({milter}, settings_, policy_) != nullptr; }

  std::string wanted_action() const { return policy_.settings().on_error == OnError::accept ? "accept" : "tempfail"; }
  bool is_good(const std::string& action) const { return action == wanted_action() || action == "tempfail"; }

  // An address that we had before gives way to the one that we have now; `everybody` must have us.
  std::string with_us(const std::string& before, bool everybody) const {
    const std::string address = postfix_address(policy_, settings_);
    if (address.empty()) return before;
    auto milters = postfix_milters(before);
    bool there = std::ranges::any_of(milters, [&](const PostfixServer& m) { return is_ours(m); });
    bool changed = false;
    for (PostfixServer& milter : milters) {
      if (there || !was_ours(milter)) continue;
      milter.address = address;
      there = changed = true;
    }
    changed = std::erase_if(milters, [&](const auto& m) { return was_ours(m) && !is_ours(m); }) > 0 || changed;
    if (!there && everybody) {
      milters.insert(filter_order(policy_).last.empty() ? milters.begin() : milters.end(), {address, {}});
      changed = true;
    }
    for (PostfixServer& milter : milters) changed = mend_action(milter) || changed;
    return changed ? postfix_text(milters) : before;
  }

  // What stands in braces is stronger than milter_default_action.
  bool mend_action(PostfixServer& milter) const {
    const auto own = milter.options.find("default_action");
    if (own == milter.options.end() || !is_ours(milter) || is_good(own->second)) return false;
    own->second = wanted_action();
    return true;
  }

  std::string without_us(const std::string& before) const {
    auto milters = postfix_milters(before);
    const auto gone = std::erase_if(milters, [&](const PostfixServer& m) { return was_ours(m); });
    return gone == 0 ? before : postfix_text(milters);
  }

  void actions() {
    if (!is_good(settings_.at("milter_default_action"))) want("milter_default_action", wanted_action());
    if (postfix_number(settings_.at("milter_protocol"), 6) < 6) want("milter_protocol", "6");
    const std::int64_t needed = most_recipients(policy_);
    if (needed > 0 && postfix_number(settings_.at("smtpd_recipient_limit"), 1000) <= needed) {
      want("smtpd_recipient_limit", std::to_string(needed + 100));
    }
  }

  OwnDoor door_in(const std::string& phrase) const { return own_door(phrase, settings_, policy_); }

  std::string without_door(const std::string& list, bool stale_alone = false) const {
    auto phrases = restriction_phrases(list);
    const auto gone = std::erase_if(phrases, [&](const std::string& phrase) {
      const OwnDoor door = door_in(phrase);
      return door == OwnDoor::stale || (door == OwnDoor::present && !stale_alone);
    });
    return gone == 0 ? list : postfix_joined(phrases);
  }

  // Just before what refuses relaying.
  std::string with_door(const std::string& list, const std::string& address) const {
    auto phrases = restriction_phrases(without_door(list));
    const auto refusing = std::ranges::find_if(phrases, [](const std::string& phrase) {
      return phrase == "reject_unauth_destination" || phrase == "defer_unauth_destination" || phrase == "reject" ||
             phrase == "defer";
    });
    phrases.insert(refusing, fmt::format("check_policy_service {{ {}, timeout=2s, default_action=DUNNO }}", address));
    return postfix_joined(phrases);
  }

  // In its place, and silent when we are away.
  bool is_door_right(const std::string& list) const {
    for (const std::string& phrase : restriction_phrases(list)) {
      if (phrase == "reject_unauth_destination" || phrase == "defer_unauth_destination" || phrase == "reject") {
        return false;
      }
      if (door_in(phrase) != OwnDoor::present) continue;
      const auto options = postfix_server(postfix_words(phrase)[1]).options;
      const auto own = options.find("default_action");
      const std::string& action =
          own == options.end() ? settings_.at("smtpd_policy_service_default_action") : own->second;
      return access_value(action) == ToStranger::nothing;
    }
    return false;
  }

  // One that nobody answers any more goes, wherever it stands.
  void door() {
    const std::string address = postfix_service_address(policy_, settings_);
    const bool right = address.empty() || is_door_right(settings_.at(kDoorLists[0]));
    for (const char* name : kDoorLists) {
      const std::string& list = settings_.at(name);
      const bool here = !right && name == kDoorLists[0];
      want(name, here ? with_door(list, address) : without_door(list, right));
      each_service([&](const PostfixService& service) { return without_door(service.values.at(name), true); }, name);
    }
  }

  const PostfixSettings& settings_;
  const Policy& policy_;
  std::vector<PostfixChange> changes_;
};

}  // namespace

std::vector<PostfixChange> postfix_changes(const PostfixSettings& settings, const Policy& policy) {
  return PostfixSetup(settings, policy).changes();
}

std::vector<PostfixChange> postfix_removal(const PostfixSettings& settings, const Policy& policy) {
  return PostfixSetup(settings, policy).removal();
}

}  // namespace replygate
