#include "milter/door/mta_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace replygate {
namespace {

std::int64_t macro_number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

std::uint32_t wanted_steps(const Needs& needs) {
  std::uint32_t steps = wire::kNoUnknown | wire::kShowRefused;
  if (!needs.reply_at_connect) steps |= wire::kNoReplyConnect;
  if (!needs.reply_at_helo) steps |= wire::kNoReplyHelo;
  if (!needs.reply_at_mail) steps |= wire::kNoReplyMail;
  if (!needs.data) steps |= wire::kNoData;
  steps |= needs.all_headers() ? wire::kNoReplyHeader | wire::kLeadingSpace : wire::kNoHeaders;
  if (!needs.reply_at_headers) steps |= needs.size ? wire::kNoReplyEndOfHeaders : wire::kNoEndOfHeaders;
  steps |= needs.body() ? wire::kNoReplyBody : wire::kNoBody;
  return steps;
}

std::uint32_t wanted_actions(const Needs& needs) {
  return (needs.add_headers ? wire::kAddHeaders : 0) | (needs.hold ? wire::kQuarantine : 0);
}

namespace {

std::vector<MacroWish> wishes_with(bool data) {
  using wire::MacroStage;
  std::vector<MacroWish> wishes = {
      {MacroStage::connect, "{daemon_name} {daemon_addr} {daemon_port}"},
      {MacroStage::mail,
       "i {auth_type} {auth_authen} {mail_addr} {tls_version} {cipher} {cipher_bits} {cert_subject} "
       "{cert_issuer}"},
      {MacroStage::rcpt, "i {rcpt_mailer} {rcpt_host} {rcpt_addr}"}};
  if (data) wishes.push_back({MacroStage::data, "i"});
  wishes.push_back({MacroStage::end_of_message, "i"});
  wishes.push_back({MacroStage::end_of_headers, "i"});  // Sendmail uses the list before only beside one here
  return wishes;
}

}  // namespace

const std::vector<MacroWish>& macro_wishes(const Needs& needs) {
  static const std::vector<MacroWish> with_data = wishes_with(true);
  static const std::vector<MacroWish> without = wishes_with(false);
  return needs.data ? with_data : without;
}

// Sendmail names the address that it listens on, which may stand for all.
std::optional<IpAddress> server_of(std::string_view text) {
  constexpr std::string_view kVersion6 = "IPv6:";
  if (text.starts_with(kVersion6)) text.remove_prefix(kVersion6.size());
  const auto ip = IpAddress::parse(text);
  const bool any = ip == IpAddress::parse("0.0.0.0") || ip == IpAddress::parse("::");
  return any ? std::nullopt : ip;
}

ConnectEvent connect_event(std::string_view host, const std::optional<IpAddress>& ip, std::uint16_t port,
                           const MacroSource& macros) {
  static const IpAddress loopback = IpAddress::parse("127.0.0.1").value();
  return {.ip = ip,
          .name = client_name(host),
          .port = port,
          .listener = std::string(macros.get("{daemon_name}")),
          .local_submission = port == 0 && ip == loopback,
          .server = server_of(macros.get("{daemon_addr}")),
          .server_port = macro_number(macros.get("{daemon_port}"))};
}

MailEvent mail_event(std::span<const std::string_view> arguments, const MacroSource& macros) {
  const auto text = [&](std::string_view name) { return std::string(macros.get(name)); };
  const auto parameters = arguments.subspan(arguments.empty() ? 0 : 1);
  return {.sender = std::string(arguments.empty() ? std::string_view() : arguments.front()),
          .parameters = {parameters.begin(), parameters.end()},
          .rewritten = text("{mail_addr}"),
          .user = text("{auth_authen}"),
          .mechanism = text("{auth_type}"),
          .tls = {.version = text("{tls_version}"),
                  .cipher = text("{cipher}"),
                  .bits = macro_number(macros.get("{cipher_bits}")),
                  .subject = text("{cert_subject}"),
                  .issuer = text("{cert_issuer}")},
          .queue_id = text("i")};
}

RcptEvent rcpt_event(std::string_view argument, const MacroSource& macros, bool shows_refused) {
  RcptEvent event{.recipient = std::string(argument)};
  const std::string_view mailer = macros.get("{rcpt_mailer}");
  if (mailer.empty()) return event;
  const std::string_view host = macros.get("{rcpt_host}");
  const std::string_view address = macros.get("{rcpt_addr}");
  if (mailer == "error") {
    // A bare enhanced code as host marks a refusal; with text behind it, it is Postfix's way to route a virtual alias.
    if (shows_refused && EnhancedCode::parse(host)) {
      event.mta_refused = true;
      event.mta_status = host;
      event.mta_text = address;
      return event;
    }
    event.route.emplace("local");
  } else {
    event.route.emplace(mailer);
  }
  event.rewritten = address;
  return event;
}

std::string_view header_value(std::string_view value) { return value.substr(value.starts_with(' ') ? 1 : 0); }

// The MTA hands folds over as LF.
std::int64_t header_octets(std::string_view name, std::string_view value, bool leading_space) {
  const auto folds = std::ranges::count(value, '\n');
  const std::size_t blank = leading_space ? 0 : 1;
  return static_cast<std::int64_t>(name.size() + 1 + blank + value.size() + 2) + folds;
}

std::string added_value(std::string_view value, bool leading_space) {
  return fmt::format("{}{}", leading_space ? " " : "", value);
}

std::string client_name(std::string_view host) {
  return host.empty() || host.starts_with('[') ? "unknown" : std::string(host);
}

std::string reply_line(std::string_view text) {
  constexpr std::size_t kMost = 980;
  std::string line;
  for (const char c : text) {
    const std::string_view written = c == '%' ? "%%" : std::string_view(&c, 1);
    if (line.size() + written.size() > kMost) break;
    line += written;
  }
  return line;
}

}  // namespace replygate
