#include <fmt/format.h>

#include <algorithm>

#include "milter/host/policy_needs.h"
#include "milter/host/postfix_access.h"
#include "milter/host/postfix_case.h"
#include "milter/host/postfix_restrictions.h"

namespace replygate {
namespace {

using Level = Symptom::Level;
using Restrictions = std::vector<PostfixRestriction>;

// Networks that take in half the world leave no strangers to prove anything of.
bool trusts_everybody(const Policy& policy) {
  const auto& trusted = policy.site().trusted_networks;
  if (!trusted) return false;
  return trusted->contains(IpAddress::v4(0xcb00714d)) || trusted->contains(IpAddress::v4(0x08080808));  // 203.0.113.77
}

// The second door is silent when it is away, and is not asked where main.cf does not say so: the milter alone must
// refuse.
RelayProof prove_milter(const Policy& policy) {
  Settings settings = policy.settings();
  settings.policy_service.clear();
  return prove_relay(Policy(policy.site(), std::move(settings), policy.rules(), policy.id()));
}

// Why the policy would not stop what Postfix lets through; "" where it would.
std::string why_unguarded(PostfixCase& c) {
  if (!asks_us(c)) return "replygate is not asked here";
  if (!waits_for_us(c)) return "with replygate down nobody refuses them";
  if (c.policy.settings().on_error == OnError::accept) return "on_error = \"accept\" lets them through on an error";
  if (trusts_everybody(c.policy)) return "the policy's trusted_networks have everybody in them";
  if (!c.proof) c.proof = prove_milter(c.policy);
  if (c.proof->kind == RelayProof::Kind::closed) return "";
  return c.proof->kind == RelayProof::Kind::open ? "the policy does not refuse them: " + c.proof->transaction
                                                 : "that the policy refuses them is not proved";
}

std::string relay_mend(const PostfixCase& c, const Restrictions& all, const PostfixDomains& every) {
  if (every.name.empty()) return c.set("smtpd_relay_restrictions", mended_relay_list(all));
  auto words = postfix_words(c.at(every.name));
  std::erase(words, every.word);
  return c.set(every.name, postfix_joined(words));
}

std::string how(const PostfixPassage& passage, const PostfixDomains& every) {
  if (!every.name.empty()) return fmt::format("{} takes in every domain, by {}", every.name, every.word);
  if (passage.by.phrase.empty()) return "smtpd_relay_restrictions has no reject_unauth_destination";
  const bool sure = passage.does == ToStranger::passes;
  return fmt::format("{} in {} {} them pass", passage.by.phrase, passage.by.list, sure ? "lets" : "may let");
}

// A domain of aliases alone is no way out by itself.
void passage(PostfixCase& c, const Restrictions& all) {
  const PostfixPassage passage = stranger_passage(all);
  if (passage.does == ToStranger::denies) return;
  const std::string why = why_unguarded(c);
  if (why.empty()) {
    return c.add(Level::fine, "leaves relaying to replygate, whose policy is proved to refuse it", "");
  }
  const PostfixDomains every = passage.by.phrase.empty() ? every_domain(c.service.values, c.tables) : PostfixDomains();
  const bool sure = passage.does == ToStranger::passes && !every.name.starts_with("virtual_");
  c.add(sure ? Level::error : Level::warning,
        fmt::format("{}: {}, and {}", sure ? "strangers may relay" : "whether strangers may relay is not known",
                    how(passage, every), why),
        relay_mend(c, all, every));
}

// Friends that are too many, wherever their names lead to.
void networks(PostfixCase& c) {
  const std::string wide = wide_network(c.at("mynetworks"), c.tables);
  if (wide.empty()) return;
  c.add(Level::error, fmt::format("mynetworks has {}: everybody may relay, this host is open", wide),
        c.set("mynetworks", "127.0.0.0/8 [::1]/128"));
}

// Who may say that he is somebody else.
void impostors(PostfixCase& c) {
  if (const std::string wide = wide_network(c.at("smtpd_authorized_xclient_hosts"), c.tables); !wide.empty()) {
    c.add(Level::error,
          fmt::format("smtpd_authorized_xclient_hosts has {}: everybody may call himself a client of yours, and relay",
                      wide),
          c.set("smtpd_authorized_xclient_hosts", ""));
  }
  if (c.at("smtpd_upstream_proxy_protocol").empty() || c.service.is_loopback()) return;
  c.add(Level::warning,
        fmt::format("smtpd_upstream_proxy_protocol = {}: whoever reaches the port may call himself a client of yours",
                    c.at("smtpd_upstream_proxy_protocol")),
        "let the proxy alone reach that port: bind it to an address of its own in master.cf, 127.0.0.1 for one");
}

struct Door {
  Restrictions::const_iterator at;
  PostfixServer server;
};

// Of several the first.
Door second_door(const PostfixCase& c, const Restrictions& all, const std::string& address) {
  for (auto at = all.begin(); at != all.end(); ++at) {
    const auto words = postfix_words(at->phrase);
    if (words.front() != "check_policy_service" || words.size() < 2) continue;
    PostfixServer server = postfix_server(words[1]);
    if (plain_address(server.address, c.settings) == plain_address(address, c.settings)) return {at, server};
  }
  return {all.end(), {}};
}

void door_without_action(PostfixCase& c, const Door& door) {
  const auto own = door.server.options.find("default_action");
  const std::string& action =
      own == door.server.options.end() ? c.at("smtpd_policy_service_default_action") : own->second;
  if (access_value(action) != ToStranger::denies) return;
  PostfixServer better = door.server;
  better.options["default_action"] = "DUNNO";
  better.options.try_emplace("timeout", "2s");
  std::string list = c.at(door.at->list);
  const std::string old = postfix_words(door.at->phrase)[1];
  if (const std::size_t found = list.find(old); found != std::string::npos)
    list.replace(found, old.size(), better.text());
  c.add(Level::warning,
        fmt::format("check_policy_service {} has no default_action: with replygate down mail gets \"{}\"",
                    door.server.address, action),
        c.set(door.at->list, list));
}

// Without a second door Postfix's own words are what strangers hear, unless it leaves relaying to us.
void no_door(PostfixCase& c, const Restrictions& all) {
  const bool other = c.at("smtpd_relay_restrictions").find("check_policy_service") != std::string::npos;
  if (!has_relay_rule(c.policy) || other || stranger_passage(all).does != ToStranger::denies) return;
  c.add(Level::warning,
        "Postfix refuses relaying itself before it asks replygate: the policy's relay rule never applies",
        "add [policy_service] listen = \"inet:8892@127.0.0.1\" to the policy, then " + c.settings.setup);
}

// Behind a refusal, or behind what ends its list.
void door_behind(PostfixCase& c, const Restrictions& all, const Door& door) {
  const auto before = std::find_if(all.begin(), door.at, [&](const PostfixRestriction& r) {
    return r.does == ToStranger::denies || (r.does == ToStranger::passes && r.list == door.at->list);
  });
  if (before == door.at) return;
  c.add(Level::warning,
        fmt::format("check_policy_service {} stands behind {}: strangers who relay never get there",
                    door.server.address, before->phrase),
        c.set_up("smtpd_relay_restrictions"));
}

void door(PostfixCase& c, const Restrictions& all) {
  const std::string address = postfix_service_address(c.policy, c.settings);
  if (address.empty()) return no_door(c, all);
  const Door found = second_door(c, all, address);
  if (found.at == all.end()) {
    return c.add(
        Level::warning,
        fmt::format("nobody asks [policy_service]: smtpd_relay_restrictions has no check_policy_service {}", address),
        c.set_up("smtpd_relay_restrictions"));
  }
  door_behind(c, all, found);
  door_without_action(c, found);
}

// Each mail waits for one that nobody answers.
void stale_doors(PostfixCase& c) {
  for (const char* list : {"smtpd_relay_restrictions", "smtpd_recipient_restrictions"}) {
    for (const std::string& phrase : restriction_phrases(c.at(list))) {
      if (own_door(phrase, c.settings, c.policy) != OwnDoor::stale) continue;
      c.add(Level::warning,
            fmt::format("{} still has check_policy_service {}, and the policy's [policy_service] does not listen there",
                        list, postfix_server(postfix_words(phrase)[1]).address),
            c.settings.setup);
    }
  }
}

// What is wrong with mynetworks is told by itself, and must not hide what else lets strangers pass.
PostfixValues without_wide_networks(const PostfixCase& c) {
  PostfixValues values = c.service.values;
  if (!wide_network(values.at("mynetworks"), c.tables).empty()) values.all["mynetworks"] = "127.0.0.0/8";
  return values;
}

}  // namespace

void check_postfix_relaying(PostfixCase& c) {
  const std::string own = postfix_service_address(c.policy, c.settings);
  const Restrictions all = postfix_restrictions(without_wide_networks(c), c.tables, own);
  networks(c);
  impostors(c);
  passage(c, all);
  door(c, all);
  stale_doors(c);
}

}  // namespace replygate
