#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "milter/cli/commands.h"
#include "milter/cli/load_failure.h"
#include "milter/cli/table.h"
#include "milter/files.h"
#include "milter/host/local.h"
#include "milter/host/postfix.h"
#include "milter/host/sendmail.h"
#include "milter/log/say.h"

namespace replygate {
namespace {

using Level = Symptom::Level;

Symptoms all_symptoms(const DoctorOptions& options, const Policy& policy) {
  Symptoms all{{Level::fine, "policy", fmt::format("{}: {} rules", options.file, policy.named_rules()), ""}};
  const auto add = [&all](Symptoms more) { all.insert(all.end(), more.begin(), more.end()); };
  const auto postfix = read_postfix(options.postfix);
  const auto sendmail = read_sendmail(options.sendmail);
  if (postfix) add(check_postfix(*postfix, policy));
  if (sendmail) add(check_sendmail(*sendmail, policy));
  if (!postfix && !sendmail) {
    add({{Level::error, "mta", "there is neither a Postfix nor a Sendmail here",
          "--postfix FOLDER or --sendmail FOLDER name theirs"}});
  }
  add(check_sockets(policy));
  add(check_store(policy));
  add(check_clock());
  add(check_daemon(options.socket, policy));
  return all;
}

std::string_view word_of(Level level) {
  return level == Level::fine ? "ok" : level == Level::warning ? "warning" : "error";
}

void print(const Symptoms& symptoms) {
  const bool color = wants_color();
  for (const Symptom& f : symptoms) {
    const char* paint = !color || f.level == Level::fine ? "" : f.level == Level::warning ? "\x1b[33m" : "\x1b[31m";
    fmt::print("{}{:<8}{} {:<9} {}\n", paint, word_of(f.level), *paint == '\0' ? "" : "\x1b[0m", f.subject, f.what);
    if (!f.mend.empty()) fmt::print("{:18} mend: {}\n", "", f.mend);
  }
}

void print_json(const Symptoms& symptoms) {
  boost::json::array list;
  for (const Symptom& f : symptoms) {
    list.push_back(
        boost::json::object{{"level", word_of(f.level)}, {"subject", f.subject}, {"what", f.what}, {"mend", f.mend}});
  }
  fmt::print("{}\n", boost::json::serialize(list));
}

}  // namespace

int doctor_command(const DoctorOptions& options) {
  const Loaded loaded = load_policy_file(options.file);
  if (!loaded.ok()) {
    print_diagnostics(loaded.diagnostics, loaded.sources);
    return status_of_failure(loaded.diagnostics);
  }
  const Symptoms symptoms = all_symptoms(options, *loaded.policy);
  options.json ? print_json(symptoms) : print(symptoms);
  return std::ranges::all_of(symptoms, [](const Symptom& f) { return f.level == Level::fine; }) ? kFine : kFound;
}

}  // namespace replygate
