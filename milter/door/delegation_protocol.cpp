#include "milter/door/delegation_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

namespace replygate {
namespace {

using Attributes = std::map<std::string_view, std::string_view>;

std::string_view get(const Attributes& attributes, std::string_view name) {
  const auto it = attributes.find(name);
  return it == attributes.end() ? std::string_view() : it->second;
}

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

std::optional<DelegationRequest> parse_delegation_request(std::string_view text) {
  Attributes attributes;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    attributes[line.substr(0, equals)] = line.substr(equals + 1);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (get(attributes, "request") != "smtpd_access_policy") return std::nullopt;
  DelegationRequest request;
  request.connect.ip = IpAddress::parse(get(attributes, "client_address"));
  if (const auto name = get(attributes, "client_name"); !name.empty()) request.connect.name = name;
  request.connect.port = number(get(attributes, "client_port"));
  request.connect.server = IpAddress::parse(get(attributes, "server_address"));
  request.connect.server_port = number(get(attributes, "server_port"));
  request.helo = get(attributes, "helo_name");
  request.mail.sender = get(attributes, "sender");
  request.mail.user = get(attributes, "sasl_username");
  request.mail.mechanism = get(attributes, "sasl_method");
  if (const auto size = get(attributes, "size"); !size.empty()) {
    request.mail.parameters.push_back(fmt::format("SIZE={}", size));
  }
  request.mail.tls = {.version = std::string(get(attributes, "encryption_protocol")),
                      .cipher = std::string(get(attributes, "encryption_cipher")),
                      .bits = number(get(attributes, "encryption_keysize")),
                      .subject = std::string(get(attributes, "ccert_subject")),
                      .issuer = std::string(get(attributes, "ccert_issuer"))};
  request.mail.queue_id = get(attributes, "queue_id");
  request.rcpt.recipient = get(attributes, "recipient");
  request.state = get(attributes, "protocol_state");
  return request;
}

std::string delegation_reply(const Answer& answer) {
  if (!answer.refusal) return "action=DUNNO\n\n";
  return fmt::format("action={}\n\n", answer.refusal->one_line());
}

}  // namespace replygate
