#include "policy/proof/solver.h"

#include <algorithm>
#include <limits>

#include "policy/proof/candidates.h"

namespace replygate {
namespace {

constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::string_view kFreshDomain = "stranger.invalid";
constexpr std::string_view kFreshLocal = "someone";
constexpr std::string_view kFreshText = "something-else.invalid";

constexpr FactSet set_of(std::initializer_list<Fact> facts) {
  FactSet set = 0;
  for (const Fact fact : facts) set |= bit(fact);
  return set;
}

constexpr FactSet kClient = set_of({Fact::client_ip, Fact::client_net});
constexpr FactSet kSender = set_of({Fact::sender, Fact::sender_local, Fact::sender_domain, Fact::null_sender});
constexpr FactSet kRecipient = set_of({Fact::recipient, Fact::recipient_local, Fact::recipient_domain});
constexpr FactSet kUser = set_of({Fact::user, Fact::user_local, Fact::user_domain, Fact::authenticated,
                                  Fact::auth_mechanism, Fact::sender_login_mismatch});
constexpr FactSet kTls =
    set_of({Fact::tls, Fact::tls_version, Fact::tls_cipher, Fact::tls_bits, Fact::tls_subject, Fact::tls_issuer});
constexpr FactSet kTime = set_of({Fact::time, Fact::weekday});

Address address_of(std::string_view local, std::string_view domain) {
  Address address{.form = Address::Form::mailbox, .full = std::string(local), .at = local.size()};
  address.full += '@';
  address.full += domain;
  return address;
}

class Solver {
 public:
  Solver(std::span<const Literal> literals, const Site& site, Model& model)
      : all_(literals), site_(site), model_(model) {}

  Solved run() {
    model_ = {};
    model_.zone = &site_.zone;
    model_.connection.port = 40000;
    model_.recipient.route = "smtp";
    const bool well = time() && client() && sender() && recipient() && user() && tls() && singles() && headers();
    return well ? Solved::found : complete_ ? Solved::none : Solved::undecided;
  }

 private:
  std::span<const Literal> take(FactSet facts) {
    some_.clear();
    for (const Literal& literal : all_) {
      if ((bit(literal.condition->fact.fact) & facts) != 0) some_.push_back(literal);
    }
    return some_;
  }

  bool fits(std::span<const Literal> literals) const {
    const Facts facts = model_.facts();
    return std::ranges::all_of(literals, [&](const Literal& literal) {
      return holds(*literal.condition, facts) == (literal.holds ? Truth::yes : Truth::no);
    });
  }

  // Tries values until all literals of the group hold.
  template <typename Values, typename Set>
  bool choose(std::span<const Literal> literals, const Values& values, Set set) {
    for (const auto& value : values) {
      set(value);
      if (fits(literals)) return true;
    }
    return false;
  }

  std::vector<std::string> texts(std::span<const Literal> literals, Fact fact, std::string_view fresh) {
    Texts result = text_candidates(literals, {fact, ""}, fresh);
    complete_ &= result.complete;
    return std::move(result.values);
  }

  // Every minute of a week: whatever a rule says of time, it says it in minutes and weekdays.
  bool time() {
    model_.now = Instant(std::chrono::hours(490000)) + std::chrono::seconds(30);
    const auto literals = take(kTime);
    for (int minute = 0; minute < 7 * 24 * 60; ++minute) {
      if (fits(literals)) return age();
      model_.now += std::chrono::minutes(1);
    }
    return false;
  }

  bool age() {
    return choose(take(bit(Fact::session_age)), number_candidates(some_, Fact::session_age, 0, kMost / 2000000, 1),
                  [&](std::int64_t seconds) { model_.connection.since = model_.now - std::chrono::seconds(seconds); });
  }

  bool client() {
    const auto literals = take(kClient);
    const bool net = std::ranges::any_of(
        literals, [](const Literal& literal) { return literal.condition->fact.fact == Fact::client_net; });
    const bool well = choose(literals, address_candidates(literals), [&](const IpAddress& ip) {
      model_.connection.ip = ip;
      model_.connection.ip_text = ip.text();
      model_.connection.net = IpNetwork::around(ip, ip.is_v4() ? site_.ipv4_prefix : site_.ipv6_prefix).text();
    });
    if (!well && net) complete_ = false;
    return well;
  }

  // All ways to put a mailbox together from the parts that literals on it and on its parts name.
  std::vector<Address> mailboxes(std::span<const Literal> literals, Fact full, Fact local, Fact domain) {
    std::vector<std::string> locals = texts(literals, local, kFreshLocal);
    std::vector<std::string> domains = texts(literals, domain, kFreshDomain);
    for (const std::string& text : texts(literals, full, "someone@stranger.invalid")) {
      const std::size_t at = text.rfind('@');
      if (at == std::string::npos) {
        if (!text.empty()) domains.push_back(text);
        continue;
      }
      locals.push_back(text.substr(0, at));
      domains.push_back(text.substr(at + 1));
    }
    std::vector<Address> result;
    constexpr std::size_t kMostPairs = 20000;
    for (const std::string& d : domains) {
      for (const std::string& l : locals) {
        if (l.empty() || d.empty()) continue;
        if (result.size() == kMostPairs) {
          complete_ = false;
          return result;
        }
        result.push_back(address_of(l, d));
      }
    }
    return result;
  }

  bool sender() {
    const auto literals = take(kSender);
    auto values = mailboxes(literals, Fact::sender, Fact::sender_local, Fact::sender_domain);
    values.push_back({});
    return choose(literals, values, [&](const Address& value) {
      model_.transaction.sender = value;
      model_.transaction.sender_raw = '<' + value.full + '>';
    });
  }

  bool recipient() {
    const auto literals = take(kRecipient);
    return choose(literals, mailboxes(literals, Fact::recipient, Fact::recipient_local, Fact::recipient_domain),
                  [&](const Address& value) {
                    model_.recipient.address = value;
                    model_.recipient.raw = '<' + value.full + '>';
                  });
  }

  bool user() {
    const auto literals = take(kUser);
    std::vector<std::string> names = {""};
    for (std::string& text : texts(literals, Fact::user, "somebody")) names.push_back(std::move(text));
    for (const Address& a : mailboxes(literals, Fact::user, Fact::user_local, Fact::user_domain)) {
      names.push_back(a.full);
    }
    const auto mechanisms = texts(literals, Fact::auth_mechanism, "PLAIN");
    for (const std::string& name : names) {
      model_.transaction.user = name;
      model_.transaction.sender_login_mismatch = false;
      model_.transaction.mechanism.clear();
      if (fits(literals)) return true;
      if (name.empty()) continue;
      for (const bool mismatch : {false, true}) {
        model_.transaction.sender_login_mismatch = mismatch;
        if (choose(literals, mechanisms, [&](const std::string& m) { model_.transaction.mechanism = m; })) return true;
      }
    }
    return false;
  }

  bool tls() {
    const auto literals = take(kTls);
    model_.connection.tls = {};
    if (fits(literals)) return true;
    Tls& value = model_.connection.tls;
    const auto versions = texts(literals, Fact::tls_version, "TLSv1.3");
    const auto ciphers = texts(literals, Fact::tls_cipher, "TLS_AES_256_GCM_SHA384");
    const auto subjects = texts(literals, Fact::tls_subject, "");
    const auto issuers = texts(literals, Fact::tls_issuer, "");
    const auto bits = number_candidates(literals, Fact::tls_bits, 0, kMost, 256);
    for (const std::string& version : versions) {
      if (version.empty()) continue;
      for (const std::string& cipher : ciphers) {
        for (const std::string& subject : subjects) {
          for (const std::string& issuer : issuers) {
            const auto set = [&](std::int64_t b) { value = {version, cipher, b, subject, issuer}; };
            if (choose(literals, bits, set)) return true;
          }
        }
      }
    }
    return false;
  }

  bool text(Fact fact, std::string_view fresh, std::string& target) {
    const auto literals = take(bit(fact));
    return choose(literals, texts(literals, fact, fresh), [&](const std::string& value) { target = value; });
  }

  bool number(Fact fact, std::int64_t least, std::int64_t most, std::int64_t first, std::int64_t& target) {
    const auto literals = take(bit(fact));
    return choose(literals, number_candidates(literals, fact, least, most, first),
                  [&](std::int64_t value) { target = value; });
  }

  template <typename Target>
  bool flag(Fact fact, Target& target) {
    return choose(take(bit(fact)), std::initializer_list<bool>{false, true}, [&](bool value) { target = value; });
  }

  bool singles() {
    Connection& c = model_.connection;
    Transaction& t = model_.transaction;
    Recipient& r = model_.recipient;
    std::string route;
    return text(Fact::client_name, "unknown", c.name) && number(Fact::client_port, 0, 65535, 40000, c.port) &&
           text(Fact::listener, "smtp", c.listener) && text(Fact::helo, "client.invalid", c.helo) &&
           number(Fact::messages, 1, kMost, 1, c.messages) && number(Fact::refusals, 0, kMost, 0, c.refusals) &&
           number(Fact::declared_size, 0, kMost, 0, t.declared_size) && flag(Fact::smtputf8, t.smtputf8) &&
           number(Fact::recipients, 1, kMost, 1, t.recipients) && number(Fact::size, 0, kMost, 1000, t.size) &&
           number(Fact::header_count, 0, kMost, 5, t.header_count) && text(Fact::queue_id, "4abc", t.queue_id) &&
           text(Fact::digest, "00", t.digest) && flag(Fact::external, r.external) && choose_route(r) &&
           flag(Fact::mta_refused, r.mta_refused) && mailbox(r);
  }

  bool choose_route(Recipient& r) {
    const auto literals = take(bit(Fact::recipient_route));
    return choose(literals, texts(literals, Fact::recipient_route, "smtp"),
                  [&](const std::string& value) { r.route = value; });
  }

  bool mailbox(Recipient& r) {
    const auto literals = take(bit(Fact::mailbox_used));
    return choose(literals, number_candidates(literals, Fact::mailbox_used, 0, kMost, 10),
                  [&](std::int64_t value) { r.mailbox_used = value; });
  }

  // A message may have one field of a name for each literal that wants some value.
  bool headers() {
    const auto literals = take(bit(Fact::header));
    for (const Literal& wanted : literals) {
      if (!wanted.holds) continue;
      std::vector<Literal> group = {wanted};
      for (const Literal& other : literals) {
        if (!other.holds && other.condition->fact == wanted.condition->fact) group.push_back(other);
      }
      auto& fields = model_.transaction.headers;
      fields.push_back({wanted.condition->fact.header, ""});
      Texts values = text_candidates(group, wanted.condition->fact, kFreshText);
      complete_ &= values.complete;
      if (!choose(group, values.values, [&](const std::string& value) { fields.back().value = value; })) return false;
    }
    return fits(literals);
  }

  std::span<const Literal> all_;
  const Site& site_;
  Model& model_;
  std::vector<Literal> some_;
  bool complete_ = true;
};

}  // namespace

std::vector<Literal> literals_of(const Rule& rule) {
  std::vector<Literal> literals;
  literals.reserve(rule.when.size() + rule.unless.size());
  for (const Condition& c : rule.when) literals.push_back({&c, true});
  for (const Condition& c : rule.unless) literals.push_back({&c, false});
  return literals;
}

Solved solve(std::span<const Literal> literals, const Site& site, Model& model) {
  return Solver(literals, site, model).run();
}

}  // namespace replygate
