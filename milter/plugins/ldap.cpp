#include <ldap.h>
#include <sys/time.h>

#include <array>
#include <memory>

#include "milter/plugins/hosts.h"

namespace replygate {
namespace {

using Clock = std::chrono::steady_clock;

struct UnbindLdap {
  void operator()(LDAP* connection) const { ldap_unbind_ext(connection, nullptr, nullptr); }
};
using Ldap = std::unique_ptr<LDAP, UnbindLdap>;

struct FreeLdapMessage {
  void operator()(LDAPMessage* message) const { ldap_msgfree(message); }
};
using LdapMessage = std::unique_ptr<LDAPMessage, FreeLdapMessage>;

timeval time_of(std::chrono::milliseconds time) {
  return {.tv_sec = time.count() / 1000, .tv_usec = static_cast<suseconds_t>(time.count() % 1000 * 1000)};
}

// RFC 4515 §3, and RFC 4514 §2.4 written in hexadecimal digits throughout.
std::string escaped(std::string_view text, std::string_view signs) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string result;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet >= ' ' && signs.find(c) == std::string_view::npos) {
      result += c;
    } else {
      result += '\\';
      result += kDigits[octet / 16];
      result += kDigits[octet % 16];
    }
  }
  return result;
}

std::string urls_of(const TableParameters& parameters) {
  std::string urls;
  const std::string port = parameter_value(parameters, "server_port", "389");
  for (const std::string& host : words_of(parameter_value(parameters, "server_host", "localhost"))) {
    urls += urls.empty() ? "" : " ";
    if (host.find("://") != std::string::npos) {
      urls += host;
    } else {
      urls += "ldap://" + host + (host.find(':') == std::string::npos ? ':' + port : "");
    }
  }
  return urls;
}

int scope_of(const std::string& word) {
  return word == "base" ? LDAP_SCOPE_BASE : word == "one" ? LDAP_SCOPE_ONELEVEL : LDAP_SCOPE_SUBTREE;
}

int demand_of(const std::string& word) {
  if (word == "yes" || word == "demand" || word == "hard") return LDAP_OPT_X_TLS_DEMAND;
  return word == "allow" ? LDAP_OPT_X_TLS_ALLOW : word == "try" ? LDAP_OPT_X_TLS_TRY : LDAP_OPT_X_TLS_NEVER;
}

class LdapConnection final : public TableConnection {
 public:
  LdapConnection(Ldap connection, const TableParameters& parameters, const TableBounds& bounds)
      : connection_(std::move(connection)),
        attributes_(words_of(parameter_value(parameters, "result_attribute", "maildrop"))),
        scope_(scope_of(parameter_value(parameters, "scope", "sub"))),
        most_entries_(std::atoi(parameter_value(parameters, "size_limit", "0").c_str())),
        timeout_(bounds.timeout) {
    if (most_entries_ == 0) most_entries_ = static_cast<int>(bounds.values) + 1;
  }

  std::string quoted(std::string_view text) override { return escaped(text, "*()\\\x7f"); }
  std::string quoted_in_base(std::string_view text) override { return escaped(text, " \"#+,;<=>\\\x7f"); }

  Asked ask(const std::string& filter, const std::string& base, TableValues& values, std::string& why) override {
    std::vector<char*> attributes;
    for (std::string& attribute : attributes_) attributes.push_back(attribute.data());
    attributes.push_back(nullptr);
    timeval most = time_of(timeout_);
    int id = 0;
    const int status = ldap_search_ext(connection_.get(), base.c_str(), scope_, filter.c_str(), attributes.data(), 0,
                                       nullptr, nullptr, &most, most_entries_, &id);
    if (status != LDAP_SUCCESS) return said(status, why);
    const Asked outcome = read(id, values, why);
    if (values.too_many() || outcome == Asked::gone) ldap_abandon_ext(connection_.get(), id, nullptr, nullptr);
    return outcome;
  }

 private:
  Asked read(int id, TableValues& values, std::string& why) {
    const auto deadline = Clock::now() + timeout_;
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
      timeval wait = time_of(std::max(left, std::chrono::milliseconds(0)));
      LDAPMessage* raw = nullptr;
      const int type = ldap_result(connection_.get(), id, LDAP_MSG_ONE, &wait, &raw);
      const LdapMessage message(raw);
      if (type == 0) {
        why = "no answer in time";
        return Asked::gone;
      }
      if (type < 0) return said(error(), why);
      if (type == LDAP_RES_SEARCH_RESULT) return ended(message.get(), values, why);
      if (type == LDAP_RES_SEARCH_ENTRY && !take(message.get(), values)) return Asked::well;
    }
  }

  Asked ended(LDAPMessage* message, TableValues& values, std::string& why) {
    int status = LDAP_SUCCESS;
    ldap_parse_result(connection_.get(), message, &status, nullptr, nullptr, nullptr, nullptr, 0);
    if (status == LDAP_SUCCESS || status == LDAP_NO_SUCH_OBJECT) return Asked::well;
    if (status == LDAP_SIZELIMIT_EXCEEDED) values.give_up();
    return said(status, why);
  }

  // In the order in which the server gives the attributes, as Postfix.
  bool take(LDAPMessage* entry, TableValues& values) {
    BerElement* place = nullptr;
    bool room = true;
    for (char* name = ldap_first_attribute(connection_.get(), entry, &place); name != nullptr;
         name = ldap_next_attribute(connection_.get(), entry, place)) {
      berval** found = room ? ldap_get_values_len(connection_.get(), entry, name) : nullptr;
      for (int i = 0; found != nullptr && found[i] != nullptr && room; ++i) {
        room = values.add({found[i]->bv_val, found[i]->bv_len});
      }
      ldap_value_free_len(found);
      ldap_memfree(name);
    }
    ber_free(place, 0);
    return room;
  }

  int error() {
    int status = LDAP_SERVER_DOWN;
    ldap_get_option(connection_.get(), LDAP_OPT_RESULT_CODE, &status);
    return status;
  }

  // Numbers below 0 are of the library, and of the connection.
  static Asked said(int status, std::string& why) {
    why = ldap_err2string(status);
    const bool gone = status < 0 || status == LDAP_UNAVAILABLE || status == LDAP_BUSY;
    return gone && status != LDAP_FILTER_ERROR ? Asked::gone : Asked::refused;
  }

  Ldap connection_;
  std::vector<std::string> attributes_;
  const int scope_;
  int most_entries_;
  const std::chrono::milliseconds timeout_;
};

void set_tls(LDAP* connection, const TableParameters& parameters) {
  constexpr std::array<std::pair<const char*, int>, 5> kOptions = {{{"tls_ca_cert_file", LDAP_OPT_X_TLS_CACERTFILE},
                                                                    {"tls_ca_cert_dir", LDAP_OPT_X_TLS_CACERTDIR},
                                                                    {"tls_cert", LDAP_OPT_X_TLS_CERTFILE},
                                                                    {"tls_key", LDAP_OPT_X_TLS_KEYFILE},
                                                                    {"tls_cipher_suite", LDAP_OPT_X_TLS_CIPHER_SUITE}}};
  for (const auto& [name, option] : kOptions) {
    const std::string value = parameter_value(parameters, name);
    if (!value.empty()) ldap_set_option(connection, option, value.c_str());
  }
  const int demand = demand_of(parameter_value(parameters, "tls_require_cert", "no"));
  ldap_set_option(connection, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
  const int as_client = 0;
  ldap_set_option(connection, LDAP_OPT_X_TLS_NEWCTX, &as_client);
}

void set_options(LDAP* connection, const TableParameters& parameters, const TableBounds& bounds) {
  const timeval most = time_of(bounds.timeout);
  ldap_set_option(connection, LDAP_OPT_NETWORK_TIMEOUT, &most);
  ldap_set_option(connection, LDAP_OPT_TIMEOUT, &most);
  const int version = parameter_value(parameters, "version") == "2" ? LDAP_VERSION2 : LDAP_VERSION3;
  ldap_set_option(connection, LDAP_OPT_PROTOCOL_VERSION, &version);
  const int dereference = std::atoi(parameter_value(parameters, "dereference", "0").c_str());
  ldap_set_option(connection, LDAP_OPT_DEREF, &dereference);
  const bool chase = parameter_value(parameters, "chase_referrals", "0") != "0";
  ldap_set_option(connection, LDAP_OPT_REFERRALS, chase ? LDAP_OPT_ON : LDAP_OPT_OFF);
  set_tls(connection, parameters);
}

int bind_to(LDAP* connection, const TableParameters& parameters) {
  if (parameter_value(parameters, "start_tls", "no") == "yes") {
    const int status = ldap_start_tls_s(connection, nullptr, nullptr);
    if (status != LDAP_SUCCESS) return status;
  }
  const std::string bind = parameter_value(parameters, "bind", "yes");
  if (bind == "no" || bind == "none") return LDAP_SUCCESS;
  std::string password = parameter_value(parameters, "bind_pw");
  berval secret{.bv_len = password.size(), .bv_val = password.data()};
  berval* ignored = nullptr;
  const int status = ldap_sasl_bind_s(connection, parameter_value(parameters, "bind_dn").c_str(), LDAP_SASL_SIMPLE,
                                      &secret, nullptr, nullptr, &ignored);
  ber_bvfree(ignored);
  return status;
}

}  // namespace
}  // namespace replygate

extern "C" replygate::TableConnection* replygate_table(const replygate::TableParameters& parameters,
                                                       const replygate::TableBounds& bounds, std::string& why) {
  LDAP* raw = nullptr;
  int status = ldap_initialize(&raw, replygate::urls_of(parameters).c_str());
  replygate::Ldap connection(raw);
  if (status == LDAP_SUCCESS) {
    replygate::set_options(raw, parameters, bounds);
    status = replygate::bind_to(raw, parameters);
  }
  if (status == LDAP_SUCCESS) return new replygate::LdapConnection(std::move(connection), parameters, bounds);
  why = ldap_err2string(status);
  return nullptr;
}
