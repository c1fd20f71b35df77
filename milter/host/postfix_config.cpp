#include "milter/host/postfix_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "milter/files.h"
#include "milter/host/postfix_text.h"
#include "milter/host/program.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

std::optional<ProgramResult> ask_postconf(const std::string& folder, std::vector<std::string> words) {
  std::vector<std::string> all = {"postconf"};
  if (!folder.empty()) all.insert(all.end(), {"-c", folder});
  all.insert(all.end(), words.begin(), words.end());
  return run_program(all, Messages::kept);
}

// "postconf: fatal: open /etc/postfix/main.cf: No such file or directory" without who says it.
std::string postconf_reason(const ProgramResult& result) {
  const std::string_view text = trim(result.messages);
  const std::size_t fatal = text.find("fatal: ");
  return std::string(fatal == std::string_view::npos ? text : text.substr(fatal + 7));
}

PostfixValues values_in(const std::string& output) {
  PostfixValues values;
  for (const std::string& line : lines_of(output)) {
    const std::size_t equals = line.find(" =");
    if (equals != std::string::npos) values.all[line.substr(0, equals)] = trim(line.substr(equals + 2));
  }
  return values;
}

// What master.cf sets for each service, raw: "submission/inet" to its settings.
using ServiceOverrides = std::map<std::string, std::map<std::string, std::string>>;

// "submission/inet/smtpd_milters = x"; the name of a service may have slashes, that of a parameter has none.
ServiceOverrides overrides_in(const std::string& output) {
  ServiceOverrides overrides;
  for (const std::string& line : lines_of(output)) {
    const std::size_t equals = std::min(line.find(" ="), line.size());
    const std::size_t slash = line.rfind('/', equals);
    if (slash == std::string::npos || equals == line.size()) continue;
    overrides[line.substr(0, slash)][line.substr(slash + 1, equals - slash - 1)] = trim(line.substr(equals + 2));
  }
  return overrides;
}

bool takes_mail(const PostfixService& service) {
  return service.program == "smtpd" || service.program == "pickup" || service.program == "cleanup" ||
         service.program == "pipe";
}

// Has postconf expand main.cf as the service sees it: what it overrides may stand in other parameters.
void fill_values(PostfixService& service, const PostfixSettings& settings,
                 const std::map<std::string, std::string>& own) {
  service.values = settings.values;
  if (own.empty()) return;
  std::vector<std::string> words = {"-x"};
  for (const auto& [name, value] : own) {
    service.overridden.insert(name);
    words.insert(words.end(), {"-o", fmt::format("{}={}", name, value)});
  }
  const auto answer = ask_postconf(settings.folder, words);
  if (answer && answer->status == 0) service.values = values_in(answer->output);
}

tl::expected<std::vector<PostfixService>, std::string> services_in(const PostfixSettings& settings) {
  std::vector<PostfixService> services;
  const auto fields = ask_postconf(settings.folder, {"-F"});
  const auto parameters = ask_postconf(settings.folder, {"-P"});
  for (const auto& answer : {fields, parameters}) {
    if (!answer || answer->status != 0) return tl::unexpected(answer ? postconf_reason(*answer) : std::string());
  }
  const ServiceOverrides overrides = overrides_in(parameters ? parameters->output : "");
  PostfixService service;
  for (const auto& [name, values] : overrides_in(fields ? fields->output : "")) {
    const auto field = [&](const char* key) { return values.contains(key) ? values.at(key) : std::string(); };
    const std::string command = field("command");
    service = {.name = name, .program = command.substr(0, command.find(' ')), .command = command};
    service.chrooted = field("chroot") == "y";
    const auto own = overrides.find(name);
    if (!takes_mail(service)) continue;
    fill_values(service, settings, own == overrides.end() ? std::map<std::string, std::string>() : own->second);
    services.push_back(service);
  }
  return services;
}

std::string with_folder(const PostfixSettings& settings, std::string_view rest) {
  return fmt::format("postconf {}{}", settings.folder.empty() ? "" : "-c " + settings.folder + " ", rest);
}

std::vector<std::string> written_in(const std::string& file) {
  std::string why;
  auto lines = lines_of(read_file(file, why).value_or(""));
  std::erase_if(lines, [](const std::string& line) { return line.empty() || line.front() == '#'; });
  return lines;
}

}  // namespace

const std::string& PostfixValues::at(std::string_view name) const {
  static const std::string none;
  const auto it = all.find(name);
  return it == all.end() ? none : it->second;
}

bool PostfixService::is_loopback() const {
  if (!name.ends_with("/inet")) return false;
  for (const std::string_view host : {"127.", "localhost:", "[::1]:", "::1:"}) {
    if (name.starts_with(host)) return true;
  }
  return name.find(':') == std::string::npos && values.at("inet_interfaces") == "loopback-only";
}

std::vector<const PostfixService*> PostfixSettings::with_program(std::string_view program) const {
  std::vector<const PostfixService*> found;
  for (const PostfixService& service : services) {
    if (service.program == program) found.push_back(&service);
  }
  return found;
}

std::string PostfixSettings::notes() const { return at("config_directory") + "/main.cf.replygate"; }

bool PostfixSettings::chrooted() const {
  return std::ranges::any_of(services, [](const PostfixService& s) { return s.program == "smtpd" && s.chrooted; });
}

PostfixService PostfixSettings::main() const {
  return {.name = "", .program = "smtpd", .command = "", .chrooted = chrooted(), .values = values};
}

tl::expected<PostfixSettings, std::string> read_postfix(const std::string& folder) {
  PostfixSettings settings{.folder = folder, .values = {}, .services = {}};
  const auto values = ask_postconf(folder, {"-x"});
  if (!values) return tl::unexpected(std::string());
  if (values->status != 0) return tl::unexpected(postconf_reason(*values));
  settings.values = values_in(values->output);
  auto services = services_in(settings);
  if (!services) return tl::unexpected(services.error());
  settings.services = *std::move(services);
  settings.written = written_in(settings.notes());
  return settings;
}

std::string postfix_set(const PostfixSettings& settings, const PostfixService& service, std::string_view name,
                        std::string_view value) {
  if (!service.overridden.contains(name)) return with_folder(settings, fmt::format("-e '{} = {}'", name, value));
  // postconf -P takes no blanks.
  std::string tight;
  for (const std::string& word : postfix_words(value)) {
    tight += tight.empty() ? "" : ",";
    tight += word.starts_with('{') ? "{" + postfix_joined(postfix_words(without_braces(word)), ",") + "}" : word;
  }
  return with_folder(settings, fmt::format("-P '{}/{}={}'", service.name, name, tight));
}

std::string postfix_unset(const PostfixSettings& settings, const PostfixService& service, std::string_view name) {
  return with_folder(settings, fmt::format("-PX '{}/{}'", service.name, name));
}

}  // namespace replygate
