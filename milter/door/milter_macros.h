#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/session.h"

// What the MTAs mean by the macros and arguments of their milter events. Pure.
namespace replygate {

// The macros to ask for, at each stage.
constexpr std::string_view kConnectMacros = "{daemon_name}";
constexpr std::string_view kMailMacros =
    "i {auth_type} {auth_authen} {mail_addr} {tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}";
constexpr std::string_view kRcptMacros = "i {rcpt_mailer} {rcpt_host} {rcpt_addr}";
constexpr std::string_view kLateMacros = "i";

// A line of a reply as smfi_setmlreply takes it: '%' doubled, and cut between characters at the 980 octets that
// libmilter allows.
std::string reply_line(std::string_view text);

// The host argument of connect: both MTAs put an address without verified name in brackets.
std::string client_name(std::string_view host);

struct RcptMacros {
  std::string_view mailer;
  std::string_view host;
  std::string_view address;
};

// Tells the recipients that the MTA has refused itself from those that it routes. It shows the former only where that
// was negotiated (SMFIP_RCPT_REJ).
RcptEvent rcpt_event(std::string_view argument, const std::optional<RcptMacros>& macros, bool shows_refused);

}  // namespace replygate
