#pragma once

#include <string>
#include <string_view>

#include "policy/load/context.h"
#include "policy/load/list_source.h"
#include "policy/load/subject.h"
#include "policy/rules/match.h"
#include "policy/rules/policy.h"

namespace replygate {

// Patterns for text as a policy writes them, brought to the form in which facts are compared. What can never match is
// reported, with what to write instead. Used by one thread.
class TextPatterns {
 public:
  explicit TextPatterns(Context& context) : context_(context) {}

  // How networks are cut; before patterns for client_net.
  void know(const Site& site) { site_ = &site; }
  const Site* site() const { return site_; }

  // Adds one pattern to a set.
  void add(TextSet& set, const Subject& subject, const ListItem& item);

  // A glob in canonical form: lower case, IDNs as A-labels. Nothing, with a diagnostic, where it can never match.
  std::optional<std::string> glob(const Subject& subject, const ListItem& item);

 private:
  bool is_meant_otherwise(const Subject& subject, const ListItem& item);
  bool misread(Rg code, const Subject& subject, const ListItem& item, std::string message, std::string help);
  bool is_no_value(const Subject& subject, const ListItem& item);
  void add_plain(TextSet& set, const Subject& subject, const ListItem& item);
  void add_regex(TextSet& set, const Subject& subject, const ListItem& item);
  void add_version(TextSet& set, const ListItem& item);
  void add_exact(TextSet& set, const Subject& subject, const ListItem& item);
  void add_address(TextSet& set, const ListItem& item);
  void add_domain(TextSet& set, const ListItem& item);
  void add_local(TextSet& set, const ListItem& item);
  void add_text(TextSet& set, const Subject& subject, const ListItem& item);
  void add_net(TextSet& set, const ListItem& item);
  void add_host(TextSet& set, const Subject& subject, const ListItem& item);
  void never(const ListItem& item, std::string_view what, std::string help);
  std::optional<std::string> domain(std::string_view text, const ListItem& item);

  Context& context_;
  const Site* site_ = nullptr;
};

}  // namespace replygate
