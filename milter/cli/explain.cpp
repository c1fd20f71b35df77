#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "milter/bounce/input.h"
#include "milter/bounce/mbox.h"
#include "milter/bounce/message.h"
#include "milter/bounce/status_files.h"
#include "milter/cli/catalogue_json.h"
#include "milter/cli/commands.h"
#include "milter/cli/explain_code.h"
#include "milter/cli/explained.h"
#include "milter/files.h"
#include "policy/mail/ip.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongestLine = std::size_t{1} << 20U;

// A reference, a queue id, an address of mail or of a client: what `why` looks for.
bool names_a_decision(std::string_view what) {
  const bool one_word =
      what.size() >= 6 && what.size() <= 320 && what.find_first_of(" \t\n/") == std::string_view::npos;
  if (!one_word || what.starts_with('-')) return false;
  if (what.find('@') != std::string_view::npos || IpAddress::parse(what)) return true;
  return std::ranges::all_of(what, [](char c) { return is_digit(c) || is_alpha(c); }) &&
         std::ranges::any_of(what, [](char c) { return is_digit(c) || (c >= 'A' && c <= 'Z'); });
}

int not_understood(std::string_view what) {
  std::vector<std::string_view> slugs;
  for (const Classification& c : classifications()) slugs.push_back(c.slug);
  const std::string_view meant = what.size() < 40 ? nearest(what, slugs) : "";
  std::string help;
  if (!meant.empty()) help = fmt::format("; did you mean \"{}\"?", meant);
  if (what.find('/') != std::string_view::npos && what.find_first_of(" \n") == std::string_view::npos) {
    std::error_code ignored;
    fmt::print(stderr, "replygate: {}: {}\n", what,
               std::filesystem::exists(what, ignored) ? "it is no regular file; - is standard input"
                                                      : "there is no such file");
    return kNoInput;
  }
  if (meant.empty() && names_a_decision(what)) help = fmt::format("; `replygate why {}` looks for decisions", what);
  fmt::print(stderr, "replygate: \"{}\" is no code, enhanced code, classification, RGnnnn or bounce{}\n",
             what.substr(0, 200), help);
  return kFound;
}

// Answers one input after the other in one of the three forms.
class Explainer {
 public:
  Explainer(const ExplainOptions& options, std::optional<Command> at, StatusBook& book)
      : options_(options), at_(at), book_(book) {}

  // False for what is no bounce.
  bool answer(const std::vector<RemoteStatus>& attempts) {
    bool any = false;
    if (attempts.size() >= kMostAttempts) {
      fmt::print(stderr, "replygate: the report names more than {} recipients; the rest is left out\n", kMostAttempts);
    }
    for (const RemoteStatus& status : attempts) {
      const Explained explained = book_.explain(status);
      if (!explained.is_status) continue;
      say(status, explained, any);
      any = true;
    }
    if (!any && options_.jsonl) put("{\"bounce\":false}\n");
    (any ? answered_ : unanswered_) = true;
    return any;
  }

  // A message, a mailbox of them, or lines of which each is an input with --jsonl, and all are one without.
  void answer_text(std::string_view text) {
    if (!options_.jsonl || looks_like_message(text)) {
      for (const std::string_view message : messages_of(text)) answer(read_attempts(message));
      return;
    }
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      answer_line(text.substr(0, end));
      text.remove_prefix(std::min(text.size(), end + 1));
    }
  }

  // As they come, however many.
  void answer_stream(std::istream& input) {
    std::ios::sync_with_stdio(false);
    std::string line;
    if (!std::getline(input, line)) return;
    if (!options_.jsonl || begins_header(line)) {
      line += '\n';
      line.append(std::istreambuf_iterator<char>(input), {});
      return answer_text(line);
    }
    do {
      answer_line(line);
    } while (std::getline(input, line));
  }

  bool is_for_people() const { return !options_.json && !options_.jsonl; }

  int finish() {
    if (options_.json) put(line_of(all_));
    std::fwrite(out_.data(), 1, out_.size(), stdout);
    const bool fine = answered_ && (options_.jsonl || !unanswered_);
    return fine ? kFine : kFound;
  }

 private:
  static bool begins_header(std::string_view line) {
    const std::size_t colon = line.find(':');
    return line.starts_with("From ") || (colon != std::string_view::npos && colon > 0 &&
                                         line.substr(0, colon).find_first_of(" []") == std::string_view::npos);
  }

  void answer_line(std::string_view line) {
    if (!trim(line).empty()) answer(read_line(line.substr(0, kLongestLine)));
  }

  void say(const RemoteStatus& status, const Explained& explained, bool again) {
    if (options_.jsonl) {
      append_json_line(out_, status, explained);
      return put("");
    }
    if (options_.json) {
      json::object fields = json_of(status, explained);
      add_catalogue(fields, status);
      all_.push_back(std::move(fields));
      return;
    }
    if (again || !first_) fmt::print("\n");
    first_ = false;
    print(status, explained, at_);
  }

  void put(std::string_view text) {
    out_ += text;
    if (out_.size() < (std::size_t{1} << 16U)) return;
    std::fwrite(out_.data(), 1, out_.size(), stdout);
    out_.clear();
  }

  const ExplainOptions& options_;
  std::optional<Command> at_;
  StatusBook& book_;
  json::array all_;
  std::string out_;
  bool first_ = true;
  bool answered_ = false;
  bool unanswered_ = false;
};

// Whoever may not read the folder is still told what is built in.
void say_if_unreadable(const std::string& folder) {
  if (::access(folder.c_str(), R_OK | X_OK) == 0 || errno == ENOENT) return;
  fmt::print(stderr, "replygate: {}: {}; only what is built in is known\n", folder, std::strerror(errno));
}

std::unique_ptr<StatusBook> open_book(const std::string& folder) {
  say_if_unreadable(folder);
  auto book = open_status_book(folder);
  if (book) return *std::move(book);
  fmt::print(stderr, "replygate: {}\n", book.error());
  return nullptr;
}

bool is_file(const std::string& what) {
  std::error_code ignored;
  return what.size() < PATH_MAX && std::filesystem::is_regular_file(what, ignored);
}

bool names_inputs(const std::vector<std::string>& what) {
  return std::ranges::any_of(what, [](const std::string& w) { return w == "-" || is_file(w); });
}

int explain_files(const std::vector<std::string>& names, Explainer& explainer) {
  for (const std::string& name : names) {
    std::string why;
    if (name == "-") {
      explainer.answer_stream(std::cin);
      if (std::cin.bad()) why = "it cannot be read";
    } else if (const auto text = read_file(name, why)) {
      explainer.answer_text(*text);
    }
    if (why.empty()) continue;
    fmt::print(stderr, "replygate: {}: {}\n", name == "-" ? "standard input" : name, why);
    explainer.finish();
    return kNoInput;
  }
  const int status = explainer.finish();
  if (status == kFound && explainer.is_for_people()) {
    fmt::print(stderr, "replygate: no bounce: nothing there tells of a delivery that failed\n");
  }
  return status;
}

int explain_inputs(const ExplainOptions& options, std::optional<Command> at, const std::string& text) {
  if (const std::string why = why_unread(options.statuses); !why.empty()) {
    fmt::print(stderr, "replygate: {}\n", why);
    return kNoInput;
  }
  const auto book = open_book(options.statuses);
  if (!book) return kPolicyError;
  Explainer explainer(options, at, *book);
  if (names_inputs(options.what)) return explain_files(options.what, explainer);
  if (!explainer.answer(read_attempts(text)) && !options.json && !options.jsonl) not_understood(text);
  return explainer.finish();
}

}  // namespace

int explain_command(const ExplainOptions& options) {
  std::optional<Command> at;
  if (!options.at.empty()) {
    at = command_from(options.at);
    if (!at) {
      fmt::print(stderr, "replygate: \"{}\" is no SMTP command; write for instance --at RCPT\n", options.at);
      return kUsage;
    }
  }
  const std::string what(trim(fmt::format("{}", fmt::join(options.what, " "))));
  if (const auto status = explain_known(what, at, options.json || options.jsonl)) return *status;
  return explain_inputs(options, at, what);
}

}  // namespace replygate
