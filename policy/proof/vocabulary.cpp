#include "policy/proof/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "policy/mail/address.h"
#include "policy/mail/domain.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kMostAddresses = 50000;

bool of_local_part(Fact fact) {
  return fact == Fact::sender_local || fact == Fact::recipient_local || fact == Fact::user_local;
}
bool of_domain(Fact fact) {
  return fact == Fact::sender_domain || fact == Fact::recipient_domain || fact == Fact::user_domain;
}

// Texts that a glob matches.
std::vector<std::string> samples_of(std::string glob) {
  std::ranges::replace(glob, '?', 'x');
  std::vector<std::string> result;
  for (const std::string_view run : {"some", "", "7", "a.b", "x@y"}) {
    std::string text;
    for (const char c : glob) c == '*' ? text += run : text += c;
    result.push_back(std::move(text));
  }
  return result;
}

}  // namespace

std::optional<std::string> domain_of_glob(Fact fact, const std::string& glob) {
  const bool tail = glob.size() > 2 && glob[0] == '*' && (glob[1] == '.' || glob[1] == '@');
  if (!tail || of_local_part(fact) || fact == Fact::client_net) return std::nullopt;
  std::string domain = glob.substr(2);
  return domain.find_first_of("*?@") == std::string::npos ? std::optional(std::move(domain)) : std::nullopt;
}

Vocabulary::Vocabulary(std::span<const Condition* const> conditions) {
  for (const Condition* condition : conditions) take(*condition);
  fresh_ = "stranger";
  for (int i = 1; has(fresh_); ++i) fresh_ = fmt::format("stranger{}", i);
}

void Vocabulary::take(const Condition& condition) {
  const auto* set = std::get_if<std::shared_ptr<const TextSet>>(&condition.matcher);
  if (set == nullptr) return;
  TextParts parts;
  (*set)->collect(parts);
  for (const std::string_view text : parts.exact) take_exact(condition.fact.fact, text);
  for (const auto* names : {&parts.trees, &parts.at_domains}) domains_.insert(names->begin(), names->end());
  locals_.insert(parts.locals.begin(), parts.locals.end());
  addresses_ |= !parts.at_domains.empty() || !parts.locals.empty();
  patterned_ |= parts.expressions;
  for (const std::string& glob : parts.globs) {
    if (auto domain = domain_of_glob(condition.fact.fact, glob)) {
      addresses_ |= glob[1] == '@';
      domains_.insert(*std::move(domain));
      continue;
    }
    patterned_ = true;
    for (std::string& text : samples_of(glob)) samples_.insert(std::move(text));
  }
  samples_.insert(parts.samples.begin(), parts.samples.end());
}

void Vocabulary::take_exact(Fact fact, std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (of_local_part(fact)) {
    locals_.emplace(text);
    addresses_ = true;
  } else if (of_domain(fact)) {
    domains_.emplace(text);
    addresses_ = true;
  } else if (at == std::string::npos) {
    plain_.emplace(text);
  } else {
    named_.emplace_back(text);
    locals_.emplace(text.substr(0, at));
    domains_.emplace(text.substr(at + 1));
    addresses_ = true;
  }
}

bool Vocabulary::has(const std::string& word) const {
  const auto in = [&](const auto& texts) {
    return std::ranges::any_of(texts, [&](const std::string& t) { return t.find(word) != std::string::npos; });
  };
  return in(plain_) || in(locals_) || in(domains_) || in(samples_);
}

std::vector<std::string> Vocabulary::locals() const {
  std::vector<std::string> result = {"someone", fresh_};
  for (const auto* words : {&locals_, &plain_, &samples_}) {
    for (const std::string& word : *words) {
      const std::size_t at = word.rfind('@');
      result.push_back(word.substr(0, at));
    }
  }
  for (const std::string_view odd : {"a", "7", "postmaster", "a.b"}) result.emplace_back(odd);
  return result;
}

// Of a domain that is named: itself, and one below it that is not.
std::vector<std::string> Vocabulary::domains() const {
  std::vector<std::string> result;
  for (const std::string_view top : {"invalid", "example", "test", "com"}) {
    result.push_back(fmt::format("{}.{}", fresh_, top));
  }
  result.push_back(fmt::format("{0}.{0}", fresh_));
  for (const auto* words : {&domains_, &samples_}) {
    for (const std::string& word : *words) {
      const std::size_t at = word.rfind('@');
      const std::string domain = at == std::string::npos ? word : word.substr(at + 1);
      result.push_back(domain);
      result.push_back(fmt::format("{}.{}", fresh_, domain));
    }
  }
  for (const std::string_view odd : {"a.bc", "x7.example", "localhost", "[203.0.113.9]"}) result.emplace_back(odd);
  return result;
}

std::vector<std::string> Vocabulary::texts(bool& all) const {
  all = locals_.size() + domains_.size() + plain_.size() <= kMostWords;
  std::vector<std::string> result = {fresh_ + ".invalid", fresh_, fmt::format("{0}.{0}", fresh_)};
  result.insert(result.end(), plain_.begin(), plain_.end());
  for (const std::string& domain : domains_) {
    result.push_back(domain);
    result.push_back(fmt::format("{}.{}", fresh_, domain));
  }
  result.insert(result.end(), locals_.begin(), locals_.end());
  result.insert(result.end(), named_.begin(), named_.end());
  result.insert(result.end(), samples_.begin(), samples_.end());
  for (const std::string_view odd : {"a", "7", "-", "a b", "someone@example.net"}) result.emplace_back(odd);
  if (!addresses_) return result;
  const auto domains = this->domains();
  for (const std::string& local : locals()) {
    for (const std::string& domain : domains) {
      if (result.size() > kMostAddresses) {
        all = false;
        return result;
      }
      result.push_back(local + '@' + domain);
    }
  }
  return result;
}

namespace {

class AddressMaker {
 public:
  AddressMaker(std::span<const Condition* const> conditions, const Site& site,
               const std::function<Signature(const Pick&)>& signature)
      : words_(conditions), site_(site), signature_(signature), locals_(words_.locals()), domains_(words_.domains()) {}

  Picks run() {
    drop_what_is_no_domain();
    if (!words_.patterned()) shorten();
    add(locals_.front() + '@' + domains_.front());
    for (const std::string& text : words_.named()) add(text);
    for (const std::string& local : locals_) {
      for (const std::string& domain : domains_) {
        if (result_.picks.size() >= kMostAddresses) {
          result_.all = false;
          return std::move(result_);
        }
        add(local + '@' + domain);
      }
    }
    return std::move(result_);
  }

 private:
  // Below a very long domain there may be some with a shorter label.
  void drop_what_is_no_domain() {
    result_.all = std::ranges::none_of(domains_, [](const std::string& d) { return d.size() > 255; });
    std::erase_if(domains_, [](const std::string& d) { return canonical_domain(d) != d; });
  }

  // Lists tell addresses apart by the local part, by the domain, and by naming the whole. So of parts that are alike
  // one is enough, as long as it is in no address that is named.
  void shorten() {
    std::set<std::string, std::less<>> named;
    for (const std::string& text : words_.named()) {
      const std::size_t at = text.rfind('@');
      named.insert(text.substr(0, at + 1));
      named.insert(text.substr(at));
    }
    const std::string domain = '@' + words_.fresh() + '.' + words_.fresh();
    const std::string local = words_.fresh() + '@';
    keep(
        locals_, [&](const std::string& l) { return signature_({.text = l + domain, .ip = {}}); },
        [&](const std::string& l) { return named.contains(l + '@'); });
    keep(
        domains_, [&](const std::string& d) { return signature_({.text = local + d, .ip = {}}); },
        [&](const std::string& d) { return named.contains('@' + d); });
  }

  template <typename SignatureOf, typename IsNamed>
  static void keep(std::vector<std::string>& parts, SignatureOf signature_of, IsNamed is_named) {
    std::map<Signature, std::vector<std::string>> alike;
    std::vector<Signature> order;
    std::set<Signature> settled;  // by a part that is in no address
    for (std::string& part : parts) {
      const Signature signature = signature_of(part);
      if (settled.contains(signature)) continue;
      auto& members = alike[signature];
      if (members.empty()) order.push_back(signature);
      if (!is_named(part)) {
        members.clear();
        settled.insert(signature);
      }
      members.push_back(std::move(part));
    }
    parts.clear();
    for (const Signature& signature : order) {
      parts.insert(parts.end(), alike[signature].begin(), alike[signature].end());
    }
  }

  void add(const std::string& text) {
    if (is_canonical_address(text, site_)) result_.picks.push_back({.text = text, .ip = {}});
  }

  const Vocabulary words_;
  const Site& site_;
  const std::function<Signature(const Pick&)>& signature_;
  std::vector<std::string> locals_;
  std::vector<std::string> domains_;
  Picks result_;
};

}  // namespace

bool is_canonical_address(const std::string& text, const Site& site) {
  const AddressContext context{.default_domain = site.default_domain, .is_local = [&site](std::string_view domain) {
                                 return domain == site.default_domain || site.local_domains->contains(domain);
                               }};
  return !text.empty() && canonical_address('<' + text + '>', context).full == text;
}

Picks addresses(std::span<const Condition* const> conditions, const Site& site,
                const std::function<Signature(const Pick&)>& signature) {
  return AddressMaker(conditions, site, signature).run();
}

}  // namespace replygate
