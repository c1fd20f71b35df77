#include <fmt/format.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>

#include "milter/host/local.h"
#include "milter/host/port_holder.h"
#include "milter/json_members.h"
#include "milter/serve/control_client.h"

namespace replygate {
namespace {

using Level = Symptom::Level;

// Another program where we should listen. Process 1 holds our sockets for us.
Symptoms held_by_others(const Policy& policy) {
  Symptoms symptoms;
  std::vector<std::string> places = policy.settings().listen;
  if (!policy.settings().policy_service.empty()) places.push_back(policy.settings().policy_service);
  for (const std::string& text : places) {
    const auto holder = holder_of(SocketAddress::parse(text).value_or(SocketAddress()));
    if (!holder || holder->name == "replygate" || holder->pid == 1) continue;
    symptoms.push_back({Level::error, "daemon",
                        fmt::format("{} is held by {}{}: replygate cannot listen there", text, holder->name,
                                    holder->pid == 0 ? "" : fmt::format(" (process {})", holder->pid)),
                        "stop it, or name another address in [milter] listen and run replygate setup"});
  }
  return symptoms;
}

Symptoms not_reached(const std::string& control_socket, const Policy& policy, const std::string& why) {
  if (::access(control_socket.c_str(), W_OK) != 0 && errno == EACCES) {
    return {{Level::warning, "daemon", fmt::format("{}: you may not open it", control_socket),
             "run doctor as root, or as a member of the group replygate"}};
  }
  Symptoms held = held_by_others(policy);
  if (!held.empty()) return held;
  return {{Level::error, "daemon", why, "systemctl start replygate; journalctl -u replygate"}};
}

std::string mend_of_trouble(std::string_view of) {
  if (of == "outcomes.db") return "make room for outcomes.db, or let the daemon write it: df; ls -l /var/lib/replygate";
  if (of != "outcomes") return "replygate status; journalctl -u replygate";
  return "name the log in [outcomes] log, and let the daemon read it: systemctl edit replygate, "
         "SupplementaryGroups=adm "
         "(systemd-journal for the journal)";
}

}  // namespace

// The gravest, then whatever else lasts.
Symptoms troubles_in(const boost::json::object& status) {
  Symptoms symptoms;
  const std::string gravest = text_at(status, "trouble");
  for (const boost::json::value& one : array_at(status, "troubles")) {
    const std::string what = text_at(one.as_object(), "what");
    symptoms.push_back({Level::error, "daemon", what, mend_of_trouble(text_at(one.as_object(), "of"))});
  }
  const auto first = std::ranges::find(symptoms, gravest, &Symptom::what);
  if (first != symptoms.end()) {
    std::rotate(symptoms.begin(), first, first + 1);
  } else if (!gravest.empty()) {
    symptoms.insert(symptoms.begin(), {Level::error, "daemon", gravest, mend_of_trouble("")});
  }
  return symptoms;
}

Symptoms check_clock() {
  timex clock{};
  const int state = ::ntp_adjtime(&clock);
  if (state != TIME_ERROR && (clock.status & STA_UNSYNC) == 0) return {{Level::fine, "clock", "is kept by NTP", ""}};
  return {{Level::warning, "clock", "nothing keeps it right: windows of time and calendar periods drift",
           "systemctl enable --now systemd-timesyncd (or chrony)"}};
}

Symptoms check_daemon(const std::string& control_socket, const Policy& policy, bool whole) {
  const auto client = ControlClient::connect(control_socket);
  if (!client) return not_reached(control_socket, policy, client.error());
  const auto answer = (*client)->ask({{"command", "status"}});
  if (!answer) return {{Level::error, "daemon", answer.error(), "systemctl restart replygate"}};
  const boost::json::object& status = object_at(*answer, "result");
  Symptoms symptoms = troubles_in(status);
  const std::string id = text_at(object_at(status, "policy"), "id");
  if (whole && id.substr(0, id.find('+')) != policy.id()) {
    symptoms.push_back({Level::warning, "daemon", fmt::format("serves policy {}, the file is {}", id, policy.id()),
                        "replygate reload"});
  }
  if (symptoms.empty()) {
    symptoms.push_back({Level::fine, "daemon", whole ? "serves this policy" : "serves policy " + id, ""});
  }
  return symptoms;
}

}  // namespace replygate
