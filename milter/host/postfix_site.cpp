#include "milter/host/postfix_site.h"

#include <fmt/format.h>

#include <algorithm>

#include "milter/files.h"
#include "milter/host/postfix_text.h"
#include "policy/mail/domain.h"
#include "policy/mail/ip.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

void add(std::vector<std::string>& list, std::string entry) {
  if (std::ranges::find(list, entry) == list.end()) list.push_back(std::move(entry));
}

bool is_table(std::string_view word) { return word.find(':') != std::string_view::npos && !word.starts_with('['); }

class SiteReader {
 public:
  SiteReader(const PostfixSettings& settings, const PostfixTables& tables) : settings_(settings), tables_(tables) {}

  SiteDraft read() {
    for (const std::string_view name : {"mydestination", "virtual_mailbox_domains", "virtual_alias_domains"}) {
      domains(name, draft_.local_domains, false);
    }
    domains("relay_domains", draft_.relay_domains, subdomains_of("relay_domains"));
    std::erase_if(draft_.relay_domains, [&](const std::string& domain) {
      return std::ranges::find(draft_.local_domains, domain) != draft_.local_domains.end();
    });
    for (const std::string& word : postfix_words(settings_.at("mynetworks"))) network(word);
    return std::move(draft_);
  }

 private:
  // postconf(5): a name matches the domains below it, too, where this parameter says so.
  bool subdomains_of(std::string_view name) const {
    const auto words = postfix_words(settings_.at("parent_domain_matches_subdomains"));
    return std::ranges::find(words, name) != words.end();
  }

  void leave_out(std::string_view name, std::string_view word) {
    draft_.left_out.push_back(fmt::format("{} has {}, which cannot be listed", name, word));
  }

  void domains(std::string_view name, std::vector<std::string>& list, bool below) {
    for (const std::string& word : postfix_words(settings_.at(name))) {
      // The standard value: domains of virtual_alias_maps are what its table has, besides addresses.
      if (name == "virtual_alias_domains" && settings_.at(name) == settings_.at("virtual_alias_maps")) {
        alias_domains(word, list);
        continue;
      }
      if (is_table(word)) {
        table(name, word, list, below);
      } else if (word.starts_with('/')) {
        file(name, word, list, below);
      } else {
        domain(name, word, list, below);
      }
    }
  }

  void domain(std::string_view name, std::string_view word, std::vector<std::string>& list, bool below) {
    const bool dot = word.starts_with('.');
    const auto canonical = canonical_domain(dot ? word.substr(1) : word);
    if (!canonical || word.starts_with('!')) return leave_out(name, word);
    if (!dot) add(list, *canonical);
    if (dot || below) add(list, '.' + *canonical);
  }

  void file(std::string_view name, const std::string& path, std::vector<std::string>& list, bool below) {
    std::string why;
    const auto text = read_file(path, why);
    if (!text) return leave_out(name, path);
    for (const std::string& line : lines_of(*text)) {
      for (const std::string& word : postfix_words(line.substr(0, line.find('#')))) domain(name, word, list, below);
    }
  }

  void table(std::string_view name, const std::string& word, std::vector<std::string>& list, bool below) {
    const auto entries = tables_.entries(word);
    if (!entries) return leave_out(name, word);
    for (const auto& [key, value] : *entries) domain(name, key, list, below);
  }

  void alias_domains(const std::string& word, std::vector<std::string>& list) {
    const auto entries = tables_.entries(word);
    if (!entries) return leave_out("virtual_alias_maps", word);
    for (const auto& [key, value] : *entries) {
      const bool address = key.find('@') != std::string::npos;
      if (const auto canonical = address ? std::nullopt : canonical_domain(key)) add(list, *canonical);
    }
  }

  void network(std::string word) {
    std::erase_if(word, [](char c) { return c == '[' || c == ']'; });
    const auto network = IpNetwork::parse(word);
    if (!network) return leave_out("mynetworks", word);
    add(draft_.trusted_networks, network->text());
  }

  const PostfixSettings& settings_;
  const PostfixTables& tables_;
  SiteDraft draft_;
};

}  // namespace

SiteDraft site_of_postfix(const PostfixSettings& settings, const PostfixTables& tables) {
  return SiteReader(settings, tables).read();
}

}  // namespace replygate
