#include "milter/host/postfix.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "milter/host/postfix_case.h"

namespace replygate {
namespace {

using Level = Symptom::Level;

// A finding, and the services of master.cf that have it.
struct Shared {
  Symptom symptom;
  std::vector<std::string> services;
};

class PostfixCheck {
 public:
  PostfixCheck(const PostfixSettings& settings, const Policy& policy)
      : settings_(settings), policy_(policy), tables_(settings.folder) {}

  Symptoms run() {
    const PostfixService main = settings_.main();
    const Symptoms of_main = of_port(main);
    const auto ports = settings_.with_program("smtpd");
    if (ports.empty()) add(of_main, "");
    for (const PostfixService* port : ports) {
      add(port->overridden.empty() ? of_main : of_port(*port), port->name);
    }
    local(main);
    return told(of_main);
  }

 private:
  PostfixCase case_of(const PostfixService& service) {
    return {.settings = settings_, .service = service, .policy = policy_, .tables = tables_, .proof = proof_};
  }

  Symptoms of_port(const PostfixService& service) {
    PostfixCase c = case_of(service);
    if (takes_mail_back(service, settings_)) {
      check_postfix_comes_back(c);
      return c.symptoms;
    }
    check_postfix_asks(c);
    check_postfix_milter(c);
    check_postfix_relaying(c);
    check_postfix_replies(c);
    return c.symptoms;
  }

  void local(const PostfixService& main) {
    const auto cleanups = settings_.with_program("cleanup");
    PostfixCase c = case_of(cleanups.empty() ? main : *cleanups.front());
    check_postfix_local(c);
    add(c.symptoms, "");
  }

  void add(const Symptoms& symptoms, const std::string& service) {
    for (const Symptom& symptom : symptoms) {
      auto it = std::ranges::find(found_, symptom, &Shared::symptom);
      if (it == found_.end()) it = found_.insert(found_.end(), {symptom, {}});
      if (!service.empty()) it->services.push_back(service);
    }
  }

  // What main.cf has wrong is told once; else the services are named.
  Symptoms told(const Symptoms& of_main) {
    Symptoms all;
    for (Shared& f : found_) {
      const bool main = f.services.empty() || std::ranges::find(of_main, f.symptom) != of_main.end();
      if (!main) f.symptom.what = fmt::format("master.cf, {}: {}", fmt::join(f.services, ", "), f.symptom.what);
      all.push_back(std::move(f.symptom));
    }
    if (std::ranges::all_of(all, [](const Symptom& s) { return s.level == Level::fine; })) {
      all.push_back({Level::fine, "postfix", "asks replygate as the policy needs it", ""});
    }
    return all;
  }

  const PostfixSettings& settings_;
  const Policy& policy_;
  const PostfixTables tables_;
  std::optional<RelayProof> proof_;
  std::vector<Shared> found_;
};

}  // namespace

Symptoms check_postfix(const PostfixSettings& settings, const Policy& policy) {
  return PostfixCheck(settings, policy).run();
}

}  // namespace replygate
